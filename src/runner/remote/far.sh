# What the far side runs: any POSIX sh. Before it stand the names it uses: consigne_mark, consigne_limit, consigne_grace,
# the functions consigne_env and consigne_cd, and the program as its arguments. Nothing begins before `go` is read.
consigne_say() { printf '\n%s %s\n' "$consigne_mark" "$1"; }
if ! ( consigne_env ) >/dev/null 2>&1; then consigne_say 'refused environment'; exit 0; fi
if ! ( consigne_env && consigne_cd ) >/dev/null 2>&1; then consigne_say 'refused folder'; exit 0; fi
if ! ( consigne_env && consigne_cd && command -v "$1" ) >/dev/null 2>&1; then
  consigne_say 'refused program'
  exit 0
fi
consigne_say ready
IFS= read -r consigne_go || exit 0
[ "$consigne_go" = go ] || exit 0
# The program leads a group of its own, so that it can be ended with all that it starts.
consigne_apart=$(command -v setsid) || set -m 2>/dev/null
exec 3<&0 </dev/null
(
  { consigne_env && consigne_cd; } || exit 126
  exec 3<&-
  if [ -n "$consigne_apart" ]; then exec "$consigne_apart" "$@"; else exec "$@"; fi
) &
consigne_child=$!
# From here on the shell itself has nothing to say.
exec 2>/dev/null
consigne_stop() {
  kill -s TERM -- "-$consigne_child" || kill -s TERM "$consigne_child"
  consigne_n=0
  while [ "$consigne_n" -lt "$consigne_grace" ] && kill -s 0 "$consigne_child"; do
    sleep 1
    consigne_n=$((consigne_n + 1))
  done
  kill -s KILL -- "-$consigne_child"
  kill -s 0 "$consigne_child" && kill -s KILL "$consigne_child"
}
# Nobody holds the other end any more: hung up, cut off, or dead.
(
  trap '' TERM HUP INT PIPE
  IFS= read -r consigne_x <&3
  consigne_stop
) >/dev/null &
consigne_dog=$!
# A link may die without a word: the program does not outlive its time either.
(
  trap '' HUP INT PIPE
  consigne_n=0
  while [ "$consigne_n" -lt "$consigne_limit" ]; do
    sleep 5
    consigne_n=$((consigne_n + 5))
  done
  consigne_stop
) >/dev/null 3<&- &
consigne_clock=$!
exec 3<&-
trap consigne_stop TERM HUP INT
while :; do
  wait "$consigne_child"
  consigne_status=$?
  kill -s 0 "$consigne_child" || break
done
trap '' TERM HUP INT
kill -s KILL "$consigne_dog" "$consigne_clock"
# What it left behind in its group.
kill -s KILL -- "-$consigne_child"
consigne_say "ended $consigne_status"
exit 0
