#!/usr/bin/env bash
# The HTML page in a browser, as wide as on a desk and as on a telephone: nothing in the console, every picture drawn and readable,
# nothing beyond the right edge. docs/sweep/report.html, and what analysis.report has made if it ran.
#   SOURCE: the project's folder   PAGES: folder of more pages   SCRATCH: folder of this test
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

browser=
for candidate in chromium-headless-shell chromium chromium-browser google-chrome; do
  if command -v "$candidate" >/dev/null; then browser=$candidate && break; fi
done
[[ $browser ]] || { echo "skipped: no Chromium here" && exit 77; }

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
cd "$SCRATCH"
failures=0

# What is wrong with a page in a window of this width, one thing a line.
probe() { # PAGE WIDTH
  cat "$1" "$here/probe.html" >probed.html
  HOME=$SCRATCH timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$SCRATCH/profile" \
    --window-size="$2,1000" --virtual-time-budget=10000 --enable-logging=stderr --dump-dom "file://$PWD/probed.html" >dom 2>log ||
    echo "the browser failed: $(tail -n 1 log)"
  grep -a ':CONSOLE' log || true
  grep -aq "^probed [0-9]* pictures at $2 pixels$" dom || echo "not probed at $2 pixels"
  sed -n 's/^wrong: //p' dom
}

check() { # NAME PAGE
  local width found
  for width in 1300 400; do
    found=$(probe "$2" "$width")
    if [[ -z $found ]]; then
      echo "ok      $1 at $width pixels"
    else
      failures=$((failures + 1))
      printf 'FAILED  %s at %s pixels: %s\n' "$1" "$width" "$found"
    fi
  done
}

# A page with one of each mistake: none passes unseen.
cat >wrong.html <<'HTML'
<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>wrong</title></head><body>
<main><img alt="broken" src="data:image/svg+xml;base64,AAAA"><p style="width: 2000px">long</p><p style="font-size: 8px">small</p>
<script>console.log('said')</script></main></body></html>
HTML
found=$(probe wrong.html 400)
for text in 'not drawn: broken' 'wider than the window' 'beyond the right edge: p long' 'text below 12 pixels: p small' 'said'; do
  [[ $found == *"$text"* ]] || { failures=$((failures + 1)) && echo "FAILED  not found in a wrong page: $text"; }
done

check docs/sweep/report.html "$SOURCE/docs/sweep/report.html"
for page in "$PAGES"/*.html; do
  if [[ -e $page ]]; then check "$(basename -- "$page")" "$page"; fi
done
exit $((failures > 0))
