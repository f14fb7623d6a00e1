"""Programs as C: what `Program.export_c` writes.

`statements` turns a program's instructions into statements of C, one for each number that is
computed; `rolling` finds loops among them; `layout` numbers what these compute, and `sums` has
loops change places; `source` writes functions, and `files` the files; `building` compiles and loads
such a file.
"""
