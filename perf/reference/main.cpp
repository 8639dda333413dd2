// The C++ reference: candles from the exchange to Redis with no regard for anything but speed. README.md says what it
// leaves out, and what it is good for.

#include "pipeline.h"

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <sys/prctl.h>
#include <unistd.h>

namespace reference {
void parse_only(const Options &options);
}

int main(int count, char **arguments) {
    try {
        reference::Options options(count, arguments);
        if (options.parse_frames > 0 || !options.parse_file.empty()) {
            reference::parse_only(options);
            return 0;
        }
        if (options.parent != 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() != options.parent) return 1;
        }
        signal(SIGPIPE, SIG_IGN);
        struct sigaction action{};
        action.sa_handler = [](int) { reference::Pipeline::stop(); };  // without SA_RESTART: waiting ends
        sigaction(SIGTERM, &action, nullptr);
        sigaction(SIGINT, &action, nullptr);
        reference::Pipeline pipeline(options);
        fprintf(stderr, "connected\n");
        pipeline.run();
        pipeline.report();
        return 0;
    } catch (const std::invalid_argument &error) {
        fprintf(stderr, "reference: %s\n\n%s", error.what(), reference::usage);
        return 2;
    } catch (const std::exception &error) {
        fprintf(stderr, "reference: %s\n", error.what());
        return 1;
    }
}
