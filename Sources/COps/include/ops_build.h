// Which commit the program is built from. Known in builds by the scripts, which tell the linker (Package.swift).
#ifndef OPS_BUILD_H
#define OPS_BUILD_H

#include <stdint.h>

/// Hexadecimal: 1, or 2 where files differed from the commit, and then the commit as git abbreviates it. 0: not known.
uint64_t ops_build_commit(void);

#endif
