// What is asked for on the command line.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reference {

struct Options {
    std::string venue, authority_file, redis, parse_file;
    std::vector<std::string> symbols, intervals;
    size_t streams_per_connection = 1024;
    size_t history = 1500;
    size_t batch = 1500;
    size_t in_flight = 2;
    size_t parse_frames = 0;
    size_t parse_rounds = 20;
    unsigned pause_us = 0;
    int parent = 0;
    bool use_simdjson = false, every = false, drain = false, spin = false, lazy = false;

    Options(int count, char **arguments);
};

extern const char usage[];

}  // namespace reference
