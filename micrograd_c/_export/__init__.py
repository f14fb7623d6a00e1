"""Programs as C: what `Program.export_c` writes.

`statements` turns a program's instructions into statements of C, one for each number that is
computed; `rolling` finds loops among them; `source` writes functions and files; `building` compiles
and loads such a file.
"""
