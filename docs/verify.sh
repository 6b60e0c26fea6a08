#!/usr/bin/env bash
# Verifies a consigne record with stock tools alone: bash 4.4, coreutils, sed, grep, od, jq, openssl 3, ssh-keygen 8.9.
#
#   verify.sh BUNDLE TRUST [live|drill|rehearsal]
#
# BUNDLE is the directory of the run. TRUST is yours, never a copy from the bundle: `allowed_signers`, and the
# executor's public key as `executor@HOST-ID.spki.pem`. Without a mode the record must be of a live run.
# What only `consigne verify` checks: that the history is legal step by step, and that the report is made of it.
# A rehearsal certificate that the run relied upon is verified by verify-certificate.sh, which lies beside this.
set -euo pipefail
export LC_ALL=C
[ $# -ge 2 ] || { echo "usage: verify.sh BUNDLE TRUST [live|drill|rehearsal]" >&2; exit 2; }
HERE=$(cd "$(dirname "$0")" && pwd); TRUST=$(cd "$2" && pwd); MODE=${3:-live}; cd "$1"
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
fail() { echo "REFUSED: $*" >&2; exit 1; }
trap 'echo "REFUSED: line $LINENO of verify.sh: a check failed" >&2' ERR
hex_of() { sha256sum < "$1" | cut -c1-64; }
binary() { printf "$(sed 's/../\\x&/g' <<< "$1")"; }                # hexadecimal to bytes

for f in events.jsonl plan/graph.json report.md VERIFY.md record.dsse.json SHA256SUMS SHA256SUMS.sig; do
  [ -f "$f" ] || fail "$f is missing: the run is unfinished, or it was cut short"
done
HEADS=(heads/*.note); [ -f "${HEADS[0]}" ] || fail "there is no tree head"

# What the record says it is.
mode=$(head -n1 events.jsonl | jq -er '.events[] | select(.type == "run.started") | .data.mode')
[ "$mode" = "$MODE" ] || fail "this is a $mode record, not a $MODE one"
RUN=$(head -n1 events.jsonl | jq -er .run)
BOOK=$(head -n1 events.jsonl | jq -er '.events[] | select(.type == "run.started") | .data.runbook')
ORIGIN=$(head -n1 "${HEADS[0]}"); NAMES=${ORIGIN%"/run/$RUN"}; ORG=${NAMES%%/*}; HOST=${NAMES#*/}
[ "$ORIGIN" = "$ORG/$HOST/run/$RUN" ] || fail "${HEADS[0]}: a tree head of another run"
[[ "$ORG$HOST" =~ ^[A-Za-z0-9._-]+$ ]] || fail "${HEADS[0]}: not an origin"
at() { sed 's/\.[0-9]*Z$//; s/[-:T]//g; s/$/Z/' <<< "$1"; }         # as ssh-keygen wants it
END=$(at "$(tail -n1 events.jsonl | jq -er .at)")

# The seal, and the files it is over.
signed() { # PRINCIPAL NAMESPACE TIME SIGNATURE < TEXT
  ssh-keygen -q -Y verify -f "$TRUST/allowed_signers" -I "$1" -n "$2" -Overify-time="$3" -s "$4" > /dev/null 2>&1
}
signed "executor@$HOST" "seal.$MODE@$ORG" "$END" SHA256SUMS.sig < SHA256SUMS || fail "SHA256SUMS.sig: not the seal of executor@$HOST"
sha256sum --quiet --strict -c SHA256SUMS || fail "a file is not the one in SHA256SUMS"
for f in events.jsonl plan/graph.json report.md VERIFY.md record.dsse.json "${HEADS[@]}"; do
  grep -qxE "[0-9a-f]{64}  ${f//./\\.}" SHA256SUMS || fail "$f is not listed in SHA256SUMS"
done

# The chain: canonical lines of one run, numbered, each with the hash of the one before.
jq -cS . events.jsonl | cmp -s - events.jsonl || fail "events.jsonl: a line is not canonical"
jq -es --arg run "$RUN" 'to_entries | all(.value.v == 1 and .value.seq == .key and .value.run == $run)' events.jsonl > /dev/null ||
  fail "events.jsonl: lines are missing, doubled or out of order"
mkdir "$T/l"; n=0
while IFS= read -r line; do printf '\0%s' "$line" > "$T/l/$((1000000 + n))"; n=$((n + 1)); done < events.jsonl
hashes() { find "$1" -type f | sort | xargs -r sha256sum | cut -c1-64; }
hashes "$T/l" > "$T/level0"; declare -a ROW0; mapfile -t ROW0 < "$T/level0"
{ printf '0%.0s' {1..64}; echo; head -n -1 "$T/level0"; } | cmp -s - <(jq -r .prev events.jsonl) ||
  fail "events.jsonl: the chain of hashes is broken"
tail -n1 events.jsonl | jq -e '.events[-1].type == "run.sealed"' > /dev/null || fail "the last line is not run.sealed"

# The tree, level by level: ROWk[i] is the root of the i-th whole subtree of 2^k lines.
k=0; m=$n
while [ "$m" -gt 1 ]; do
  m=$((m / 2)); rm -rf "$T/n"; mkdir "$T/n"
  sed 's/../\\x&/g' "$T/level$k" > "$T/escaped"; i=0
  while [ "$i" -lt "$m" ] && IFS= read -r left && IFS= read -r right; do
    printf "\\x01$left$right" > "$T/n/$((1000000 + i))"; i=$((i + 1))
  done < "$T/escaped"
  k=$((k + 1)); hashes "$T/n" > "$T/level$k"; declare -a "ROW$k"; mapfile -t "ROW$k" < "$T/level$k"
done
root() { # SIZE: joins whole subtrees from the right, as RFC 6962 has it
  local size=$1 bit=0 acc='' row; local -n cells
  while [ $((1 << bit)) -le "$size" ]; do
    if [ $((size >> bit & 1)) -eq 1 ]; then
      row=$(((size >> bit) - 1)); unset -n cells; local -n cells="ROW$bit"
      if [ -z "$acc" ]; then acc=${cells[$row]}; else acc=$(binary "01${cells[$row]}$acc" | sha256sum | cut -c1-64); fi
    fi
    bit=$((bit + 1))
  done
  echo "$acc"
}

# Tree heads, each by a key of this executor.
X='[0-9a-f]'; KEYS=("$TRUST/executor@$HOST"-$X$X$X$X$X$X$X$X.spki.pem); # HOST may be the beginning of another
[ -f "${KEYS[0]}" ] || fail "TRUST has no executor@$HOST-*.spki.pem"
by_executor() { # MESSAGE SIGNATURE
  local key
  for key in "${KEYS[@]}"; do
    if openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$1" -sigfile "$2" > /dev/null 2>&1; then KEY=$key; return 0; fi
  done
  return 1
}
for f in "${HEADS[@]}"; do
  size=$(sed -n 2p "$f")
  [[ "$size" =~ ^[1-9][0-9]*$ ]] && [ "$f" = "heads/$(printf %06d "$size").note" ] || fail "$f: not named after its size"
  [ "$size" -le "$n" ] || fail "$f covers $size lines of $n: the end was cut off"
  [ "$(sed -n 1p "$f")" = "$ORIGIN" ] && [ "$(wc -l < "$f")" -eq 5 ] || fail "$f: not a tree head of this run"
  [ "$(binary "$(root "$size")" | base64 -w0)" = "$(sed -n 3p "$f")" ] || fail "$f: its root is not that of the lines"
  head -n3 "$f" > "$T/note"
  sed -n 5p "$f" | cut -d' ' -f3 | base64 -d | tail -c +5 > "$T/sig"
  by_executor "$T/note" "$T/sig" || fail "$f: not signed by executor@$HOST"
done
[ "$size" -eq "$n" ] || fail "the last tree head covers $size of $n lines"
ROOT=$(sed -n 3p "$f")

# The envelope: signed by the same executor, about these files, of this kind.
type=$(jq -er .payloadType record.dsse.json)
[ "$type" = application/vnd.in-toto+json ] && [ "$(jq '.signatures | length' record.dsse.json)" -eq 1 ] || fail "record.dsse.json: not an envelope"
jq -cS . record.dsse.json | cmp -s - record.dsse.json || fail "record.dsse.json: not canonical"
jq -r .payload record.dsse.json | base64 -d > "$T/payload"
{ printf 'DSSEv1 %s %s %s ' "${#type}" "$type" "$(stat -c %s "$T/payload")"; cat "$T/payload"; } > "$T/pae"
jq -r '.signatures[0].sig' record.dsse.json | base64 -d > "$T/sig"
by_executor "$T/pae" "$T/sig" || fail "record.dsse.json: not signed by executor@$HOST"
[ "$(openssl pkey -pubin -in "$KEY" -outform DER | sha256sum | cut -c1-64)" = "$(jq -r '.signatures[0].keyid' record.dsse.json)" ] ||
  fail "record.dsse.json: it names another key"
FINGERPRINT=$({ printf '\0\0\0\13ssh-ed25519\0\0\0\40'; openssl pkey -pubin -in "$KEY" -outform DER | tail -c 32; } | openssl dgst -sha256 -binary | base64)
[ "SHA256:${FINGERPRINT%%=*}" = "$(head -n1 events.jsonl | jq -r '.events[] | select(.type == "run.started") | .data.executor')" ] ||
  fail "record.dsse.json: line 1 of the journal names another key of the executor"
kind=run; [ "$MODE" = live ] || kind=$MODE
[ "$(jq -r .predicateType "$T/payload")" = "https://$ORG/attestation/runbook-$kind/v1" ] || fail "record.dsse.json: not about a $MODE run"
jq -e --argjson n "$n" --arg root "$ROOT" '.predicate.runDetails.journal | .lines == $n and .root == $root' "$T/payload" > /dev/null ||
  fail "record.dsse.json: about another journal"
jq -r '.subject[] | .digest.sha256 + "  " + .name' "$T/payload" | sha256sum --quiet --strict -c || fail "record.dsse.json: about other files"

# Files of the plan, by their digests in line 1; what is not here is withheld.
while read -r name digest; do
  if [ -f "plan/$name" ]; then [ "$(hex_of "plan/$name")" = "$digest" ] || fail "plan/$name: not the plan of this run"; fi
done < <(head -n1 events.jsonl | jq -r '.events[] | select(.type == "run.started") | .data.plan | to_entries[] | "\(.key) \(.value)"')
jq -e --arg mode "$MODE" --arg book "$BOOK" '.mode == $mode and .runbook == $book' plan/graph.json > /dev/null || fail "plan/graph.json: of another run"

# The certificate of a rehearsal, where the environment asks for one.
if jq -e .certificate plan/graph.json > /dev/null; then
  head -n1 events.jsonl | jq -e '.events[] | select(.type == "run.started") | .data.plan | has("certificate.dsse.json")' > /dev/null ||
    fail "the environment asks for a rehearsal certificate, and the run began without one"
  if [ -f plan/certificate.dsse.json ]; then
    begun=$(head -n1 events.jsonl | jq -r .at)
    "$HERE/verify-certificate.sh" plan/certificate.dsse.json "$TRUST" "" "$begun" > "$T/certificate" || fail "plan/certificate.dsse.json: it does not count"
    cat "$T/certificate"
    jq -r .payload plan/certificate.dsse.json | base64 -d > "$T/payload"
    [ "$(jq -r .predicate.runbook "$T/payload")" = "$BOOK" ] || fail "plan/certificate.dsse.json: for \`$(jq -r .predicate.runbook "$T/payload")\`"
    [ "$(jq -r .predicate.issuer.org "$T/payload")" = "$ORG" ] || fail "plan/certificate.dsse.json: of another organisation"
    cmp -s <(jq -r '.subject[] | .name + " " + .digest.sha256' "$T/payload" | sort) \
      <(head -n1 events.jsonl | jq -r '.events[] | select(.type == "run.started") | .data.plan | to_entries[] | .key + " " + .value' |
        grep -E '^(runbook|uses-.*)\.yaml ' | sort) || fail "plan/certificate.dsse.json: for another version of the runbook"
    least=$(jq -r '.certificate.min_coverage // 0' plan/graph.json); percent=$(jq -r .predicate.coverage.percent "$T/payload")
    [ "$percent" -ge "$least" ] || fail "plan/certificate.dsse.json: $percent % of the edges were walked, expected $least"
    age=$(jq -r '.certificate.max_age_ms // empty' plan/graph.json); on=$(jq -r .predicate.rehearsal.on "$T/payload")
    [ -z "$age" ] || [ $(($(date -u -d "$begun" +%s%3N) - $(date -u -d "$on" +%s%3N))) -le "$age" ] ||
      fail "plan/certificate.dsse.json: the rehearsal was at $on, which is too long ago"
  fi
fi

# Approvals: the text, who signed it, and the head it quotes.
jq -c '.seq as $seq | .at as $at | .events[] | {seq: $seq, at: $at} + .' events.jsonl > "$T/events"
[ "$MODE" = rehearsal ] || jq -es 'all(.[]; .type != "attempt.finished"
  or (.data.worker | test("^(scenario|fixture|placeholder|live|run [^;]*|fault [^;]*)(; |$)") | not))' "$T/events" > /dev/null ||
  fail "events.jsonl: something in it was simulated, and this is a $MODE record"
withheld=0; approvals=0
field() { sed -n "s/^$1: //p" "$2" | head -n1; }
while IFS=$'\t' read -r ask file digest personal; do
  [[ "$file" =~ ^approvals/[A-Za-z0-9._-]+\.txt$ ]] || fail "an approval text with a strange name"
  if [ ! -f "$file" ] || [ ! -f "$file.sig" ]; then echo "withheld: $file"; withheld=$((withheld + 1)); continue; fi
  [ "$(hex_of "$file")" = "$digest" ] || fail "$file: not the text that the journal names"
  step=$(jq -r --argjson ask "$ask" 'select(.type == "ask.opened" and .data.ask == $ask) | .step' "$T/events")
  size=$(jq -r --argjson ask "$ask" 'select(.type == "ask.opened" and .data.ask == $ask) | .seq + 1' "$T/events")
  who=$(field who "$file")
  answer=$(jq -c --argjson ask "$ask" --arg who "$who" 'select(.type == "ask.answered" and .data.ask == $ask and .actor.who == $who)' "$T/events")
  [ -n "$answer" ] || fail "$file: $who gave no such answer"
  for pair in "run=$RUN" "mode=$MODE" "org=$ORG" "step=$step" "ask=$ask" "decision=$(jq -r .data.decision <<< "$answer")" \
    "runbook=$BOOK@sha256:$(hex_of plan/graph.json)" "head=$size $(sed -n 3p "heads/$(printf %06d "$size").note")"; do
    [ "$(field "${pair%%=*}" "$file")" = "${pair#*=}" ] || fail "$file: its ${pair%%=*} is not ${pair#*=}"
  done
  when=$(jq -r .at <<< "$answer"); expires=$(field expires "$file")
  [ "$expires" = never ] || [[ ! "$when" > "$expires" ]] || fail "$file: given after it had expired"
  how=attested; [ "$(field how "$file")" != ssh-key ] || how=personal
  [ "$how" = "$([ "$personal" = true ] && echo personal || echo attested)" ] || fail "$file: not signed as it says"
  if [ "$personal" = true ]; then
    principal=$(jq -er --arg who "$who" '.people.people[$who].ssh' plan/graph.json); ns="approve.$MODE.$BOOK.$step@$ORG"
  else
    kind=$(jq -r --argjson ask "$ask" 'select(.type == "ask.opened" and .data.ask == $ask) | .data.kind' "$T/events")
    [ "$kind" != approve ] || jq -e '.identity != "ssh-key"' plan/graph.json > /dev/null || fail "$file: this environment wants personal keys"
    principal="executor@$HOST"; ns="attest.$MODE.$BOOK.$step@$ORG"
  fi
  signed "$principal" "$ns" "$(at "$when")" "$file.sig" < "$file" || fail "$file.sig: not the signature of $principal in $ns"
  approvals=$((approvals + 1))
done < <(jq -r 'select(.type == "approval.attested") | .data | [.ask, .file, .sha256, .personal] | @tsv' "$T/events")

# Every approval that opened: enough different people of its roles, nobody who is excluded.
starter=$(jq -r 'select(.type == "run.started") | .actor.who' "$T/events")
jq -es --slurpfile graph plan/graph.json --arg starter "$starter" '
  . as $events | $graph[0] as $g
  | [ $events[] | select(.type == "ask.opened" and .data.kind == "approve") | . as $open
      | select(any($events[]; .type == "ask.closed" and .data.ask == $open.data.ask and .data.how == "answered"))
      | ($g.steps[] | select(.id == $open.step) | .gate) as $gate
      | (any($events[]; .type == "ask.escalated" and .data.ask == $open.data.ask)) as $escalated
      | ([ ($gate.who.roles + (if $escalated then $gate.escalate_to else [] end))[] | $g.people.roles[.] // [] ] | add // []) as $holders
      | [ $events[] | select(.type == "ask.answered" and .data.ask == $open.data.ask) ] as $answers
      | ([ $answers[] | select(.data.decision == "approve") | .actor.who ] | unique) as $yes
      | all($answers[]; .actor.who as $who | ($holders | index([$who])) != null
          and (($gate.who.not_starter and $who == $starter) | not)
          and (.actor.how | IN("os-user", "ssh-key", "played")))
        and (any($answers[]; .data.decision == "reject") or ($yes | length) >= ([$gate.quorum, 1] | max)) ]
  | all' "$T/events" > /dev/null || fail "an approval was given by somebody who was not entitled to it"

# Hidden fields that are disclosed, and blobs.
jq -r '.data._sd[]?' "$T/events" | tr -- '-_' '+/' | sed 's/$/=/' | base64 -d | od -An -v -tx1 -w32 | tr -d ' ' | sort > "$T/hidden"
[ -z "$(uniq -d "$T/hidden")" ] || fail "events.jsonl: two fields behind one digest"
: > "$T/open"
if [ -f disclosures.jsonl ]; then
  mkdir "$T/d"; i=0
  while IFS= read -r line; do printf %s "$line" > "$T/d/$((1000000 + i))"; i=$((i + 1)); done < disclosures.jsonl
  [ "$i" -eq "$(grep -c '' disclosures.jsonl)" ] || fail "disclosures.jsonl: half a line at its end"
  hashes "$T/d" | sort > "$T/open"
  [ -z "$(uniq -d "$T/open")" ] && [ -z "$(comm -23 "$T/open" "$T/hidden")" ] || fail "disclosures.jsonl: a disclosure of no hidden field"
fi
if [ -d blobs ]; then
  for f in blobs/*; do if [ -f "$f" ]; then [ "$(hex_of "$f")" = "${f#blobs/}" ] || fail "$f: not the bytes of that name"; fi; done
fi
trap 'rm -rf "$T"' EXIT
echo "VERIFIED: run $RUN of $BOOK ($MODE), $n lines, root $ROOT, sealed by executor@$HOST of $ORG" \
  "($(wc -l < "$T/open") of $(wc -l < "$T/hidden") hidden fields disclosed, $approvals approvals checked, $withheld withheld)"
