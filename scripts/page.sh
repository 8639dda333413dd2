#!/usr/bin/env bash
# The page in a real browser: Debian's chromium-headless-shell, driven by playwright, and axe, both from PyPI (page.py). Starts a local
# exchange, a redis-server and feedd for it. Skipped, aloud, where the browser or the packages are not to be had.
#
#   scripts/page.sh                    against the feedd of the release build; screenshots go to .build/page
#   scripts/page.sh --files DIR        with the page's files of DIR instead of those in the program: Sources/COps/page while one writes
#   scripts/page.sh --only views,chart some of the parts; --shots DIR, --feedd PROGRAM: others
#   scripts/page.sh --record           four pictures go to docs/page, too
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! command -v chromium >/dev/null && ! optional chromium-headless-shell; then
    say "skipped: no browser"
    exit 0
fi
browser=$(command -v chromium-headless-shell || command -v chromium)
packages="$PWD/.build/python/page"
if ! pip_into "$packages" playwright==1.65.2 axe-playwright-python==0.1.8; then
    say "skipped: pip cannot get playwright and axe-playwright-python ($packages.log)"
    exit 0
fi
case " $* " in
    *" --feedd "*) ;;
    *)
        scripts/setup.sh
        swift_build --product feedd
        ;;
esac
PYTHONPATH=$packages exec python3 scripts/page.py --browser "$browser" --feedd "$built/feedd" "$@"
