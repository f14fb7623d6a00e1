/* for_speed.h: included by the files in whose loops programs spend their time. GCC compiles these
 * with -O3, all others with -O2 (COMPILE_ARGS in build_ffi.py); other compilers make no
 * difference. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
