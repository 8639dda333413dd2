#include "options.h"

#include <algorithm>
#include <stdexcept>

namespace reference {

const char usage[] =
    "usage: reference --venue ws[s]://ADDRESS:PORT --redis /PATH|ADDRESS:PORT --flux SYMBOL,SYMBOL:INTERVAL,INTERVAL [options]\n"
    "       reference --venue … --flux … --drain\n"
    "       reference --parse-only FILE|COUNT [--rounds N]\n"
    "\n"
    "  --parser scanner|simdjson   the schema scanner, or simdjson On-Demand for each message (default: scanner)\n"
    "  --every                     every update is written, also when a newer one is there already\n"
    "  --drain                     receive and look at frame headers, nothing else\n"
    "  --spin                      never wait, always look\n"
    "  --pause-us N                sleep before each wait: fewer and larger turns\n"
    "  --lazy                      do not wake up for replies of small batches\n"
    "  --ca-file FILE              PEM file to trust for wss\n"
    "  --history N                 MAXLEN of the history streams (default: 1500)\n"
    "  --batch N                   candle states per batch (default: 1500)\n"
    "  --in-flight N               batches in flight, at most 32 (default: 2)\n"
    "  --streams-per-connection N  (default: 1024, fewer when their names do not fit a request)\n"
    "  --end-with-parent PID       end when that process, which has started this one, does\n"
    "  --parse-only FILE|COUNT     cost of both parsers over messages, one a line, or made up\n"
    "\n"
    "Ends when the exchange does, or on SIGTERM; then prints one line of JSON.\n";

namespace {
std::vector<std::string> split(const std::string &list) {
    std::vector<std::string> parts;
    for (size_t at = 0; at <= list.size();) {
        size_t comma = std::min(list.find(',', at), list.size());
        if (comma > at) parts.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return parts;
}

size_t number(const std::string &text) {
    size_t used = 0;
    unsigned long value = std::stoul(text, &used);
    if (used != text.size()) throw std::invalid_argument("not a number: " + text);
    return value;
}
}  // namespace

Options::Options(int count, char **arguments) {
    for (int index = 1; index < count; index++) {
        std::string name = arguments[index];
        auto value = [&]() -> std::string {
            if (++index >= count) throw std::invalid_argument(name + " needs a value");
            return arguments[index];
        };
        if (name == "--venue") venue = value();
        else if (name == "--redis") redis = value();
        else if (name == "--ca-file") authority_file = value();
        else if (name == "--flux") {
            std::string flux = value();
            size_t colon = flux.find(':');
            if (colon == std::string::npos) throw std::invalid_argument("--flux needs SYMBOLS:INTERVALS");
            symbols = split(flux.substr(0, colon));
            intervals = split(flux.substr(colon + 1));
        } else if (name == "--parser") {
            std::string parser = value();
            if (parser != "scanner" && parser != "simdjson") throw std::invalid_argument("no such parser: " + parser);
            use_simdjson = parser == "simdjson";
        } else if (name == "--every") every = true;
        else if (name == "--drain") drain = true;
        else if (name == "--spin") spin = true;
        else if (name == "--lazy") lazy = true;
        else if (name == "--pause-us") pause_us = unsigned(number(value()));
        else if (name == "--history") history = number(value());
        else if (name == "--batch") batch = number(value());
        else if (name == "--end-with-parent") parent = int(number(value()));
        else if (name == "--in-flight") in_flight = number(value());
        else if (name == "--streams-per-connection") streams_per_connection = number(value());
        else if (name == "--rounds") parse_rounds = number(value());
        else if (name == "--parse-only") {
            std::string source = value();
            if (source.find_first_not_of("0123456789") == std::string::npos) parse_frames = number(source);
            else parse_file = source;
        } else throw std::invalid_argument("unknown: " + name);
    }
    if (parse_frames > 0 || !parse_file.empty()) return;
    if (venue.empty() || symbols.empty() || intervals.empty() || (redis.empty() && !drain) || batch == 0 || in_flight == 0 || in_flight > 32 || streams_per_connection == 0)
        throw std::invalid_argument("--venue, --flux and --redis (or --drain) are needed");
}

}  // namespace reference
