#!/usr/bin/env bash
# Verifies a rehearsal certificate with stock tools alone: bash 4.4, coreutils, sed, jq, openssl 3.
#
#   verify-certificate.sh CERTIFICATE TRUST [FILES [INSTANT]]
#
# TRUST is yours: a folder with `allowed_signers`. What is not understood there is refused, and so is a line of the key
# that names its owner by a list or a pattern. FILES is a folder with the runbook that it has to be for: `runbook.yaml`
# and `uses-ID.yaml` of those that it uses, as `plan/` of every run has them. INSTANT is when it has to count, such as
# 2026-11-23T12:00:00Z; else now. Which coverage or age an environment asks for is in `plan/graph.json`, and printed here.
set -euo pipefail
export LC_ALL=C
[ $# -ge 2 ] || { echo "usage: verify-certificate.sh CERTIFICATE TRUST [FILES [INSTANT]]" >&2; exit 2; }
CERT=$1; TRUST=$2; FILES=${3:-}; INSTANT=${4:-$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)}
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
fail() { echo "REFUSED: $*" >&2; exit 1; }
trap 'echo "REFUSED: line $LINENO of verify-certificate.sh: a check failed" >&2' ERR
stamp() { # An instant as seventeen digits, milliseconds included
  [[ "$1" =~ ^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.([0-9]{3}))?Z$ ]] || return 1
  local ms=${BASH_REMATCH[8]:-000}
  printf '%s' "${BASH_REMATCH[@]:1:6}" "$ms"
}
AT=$(stamp "$INSTANT") || fail "$INSTANT: not an instant such as 2026-11-23T12:00:00Z"

# The envelope, its payload not believed yet. What never ends is no certificate.
[ -f "$CERT" ] || fail "$CERT: not a file"
[ "$(stat -Lc %s -- "$CERT")" -le 33554432 ] || fail "$CERT: longer than 32 MiB"
jq -cS . "$CERT" | cmp -s - "$CERT" || fail "not one canonical line"
jq -e 'keys == ["payload", "payloadType", "signatures"] and (.signatures | length == 1) and
  (.signatures[0] | keys == ["keyid", "sig"] and (.keyid | test("\\A[0-9a-f]{64}\\z"))) and
  .payloadType == "application/vnd.in-toto+json" and
  all(.payload, .signatures[0].sig; test("\\A[A-Za-z0-9+/]+={0,2}\\z"))' "$CERT" > /dev/null || fail "not an envelope"
TYPE=$(jq -r .payloadType "$CERT"); KEYID=$(jq -r '.signatures[0].keyid' "$CERT")
decoded() { # FIELD FILE: one way alone to write it in base64
  jq -r "$1" "$CERT" | base64 -d > "$2" && [ "$(base64 -w0 "$2")" = "$(jq -r "$1" "$CERT")" ] || fail "not base64: $1"
}
decoded .payload "$T/payload"; decoded '.signatures[0].sig' "$T/sig"
{ printf 'DSSEv1 %s %s %s ' "${#TYPE}" "$TYPE" "$(stat -c %s "$T/payload")"; cat "$T/payload"; } > "$T/pae"

# TRUST, read line by line. A line that is not understood ends the search: what it allows is not known.
WHO=(); SPACES=(); AFTER=(); BEFORE=(); CA=(); BLOBS=()
OPTION='[A-Za-z-]+(="[^"\\]*")?'
ENTRY="^ *(\"[^\" \\\\]+\"|[^\" \\\\]+) +(($OPTION(,$OPTION)*) +)?([a-z][A-Za-z0-9@.-]*-[A-Za-z0-9@.-]+) +(AAAA[A-Za-z0-9+/]+={0,2})( .*)?\$"
moment() { # DIGITS: an instant of an option as seventeen digits
  [[ "$1" =~ ^([0-9]{8}|[0-9]{12}|[0-9]{14})Z$ ]] || return 1
  local digits=${1%Z}000000000
  printf %s "${digits:0:17}"
}
NUMBER=0
while IFS= read -r line || [ -n "$line" ]; do
  NUMBER=$((NUMBER + 1)); line=${line//$'\t'/ }
  [[ ! "$line" =~ ^\ *(#|$) ]] || continue
  [[ ! "$line" =~ [[:cntrl:]] && "$line" =~ $ENTRY ]] || fail "allowed_signers: line $NUMBER is not understood"
  who=${BASH_REMATCH[1]//\"/} options=${BASH_REMATCH[3]} kind=${BASH_REMATCH[7]} blob=${BASH_REMATCH[8]}
  spaces='*' after=00000000000000000 before=99999999999999999 ca=''; seen=' '
  while [ -n "$options" ]; do
    [[ "$options" =~ ^([A-Za-z-]+)(=\"([^\"]*)\")?(,|$) ]] || fail "allowed_signers: line $NUMBER is not understood"
    name=${BASH_REMATCH[1],,} given=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}; options=${options:${#BASH_REMATCH[0]}}
    [[ "$seen" != *" $name "* ]] || fail "allowed_signers: line $NUMBER gives $name twice"
    seen="$seen$name "
    case "$name${given:+=}" in
      namespaces=) [[ "$value" =~ ^[A-Za-z0-9._@*?,!/:+-]+$ ]] || fail "allowed_signers: line $NUMBER: strange namespaces"
        spaces=$value ;;
      valid-after=) after=$(moment "$value") || fail "allowed_signers: line $NUMBER: not an instant" ;;
      valid-before=) before=$(moment "$value") || fail "allowed_signers: line $NUMBER: not an instant" ;;
      cert-authority) ca=yes ;;
      *) fail "allowed_signers: line $NUMBER: an unknown option" ;;
    esac
  done
  [ "$kind" = ssh-ed25519 ] || continue
  WHO+=("$who"); SPACES+=("$spaces"); AFTER+=("$after"); BEFORE+=("$before"); CA+=("$ca"); BLOBS+=("$blob")
done < "$TRUST/allowed_signers"

# The key behind it: an Ed25519 key of allowed_signers, in the form that openssl reads.
KEY=''
for blob in ${BLOBS[@]+"${BLOBS[@]}"}; do
  { printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'; base64 -d <<< "$blob" | tail -c 32; } > "$T/der"
  if [ "$(sha256sum < "$T/der" | cut -c1-64)" = "$KEYID" ]; then KEY=$blob; break; fi
done
[ -n "$KEY" ] || fail "not trusted: no key in allowed_signers has the key id $KEYID"
openssl pkeyutl -verify -pubin -keyform DER -inkey "$T/der" -rawin -in "$T/pae" -sigfile "$T/sig" > /dev/null 2>&1 ||
  fail "its signature does not match"

# What it says, and who may say that: the namespace of whoever signed, when it was issued and at the instant.
jq -cSj . "$T/payload" | cmp -s - "$T/payload" || fail "its payload is not canonical"
jq -e 'def has($names): type == "object" and keys == ($names | sort);
  has(["_type", "predicate", "predicateType", "subject"]) and ._type == "https://in-toto.io/Statement/v1" and
  (.predicate | has(["answered", "coverage", "digest", "expiresOn", "issuedOn", "issuer", "proof", "rehearsal", "runbook"])
    and (.issuer | has(["org", "personal", "principal", "user"]) and (.personal | type == "boolean"))
    and (.rehearsal | has(["environment", "lines", "on", "root", "run"]))
    and (.proof | has(["answers", "ending", "faults", "madeUp", "notDone"]))
    and (.answered | type == "array" and all(.[]; has(["answers", "how", "playedBy", "who"])))
    and (.coverage | has(["byRehearsal", "edges", "never", "percent", "runs", "walked"])
      and (.percent | type == "number" and . >= 0 and . <= 100 and floor == .)
      and (.runs | type == "array" and all(.[]; has(["mode", "root", "run"])))))
  and (.subject | type == "array" and length > 0 and . == (. | unique_by(.name)) and
    all(.[]; has(["digest", "name"]) and (.digest | has(["sha256"]) and (.sha256 | test("\\A[0-9a-f]{64}\\z")))
      and (.name | test("\\A(runbook|uses-[A-Za-z0-9._-]+)\\.yaml\\z"))))
  and all(.. | strings; test("[\\x00-\\x1f\\x7f-\\x9f]") | not)' "$T/payload" > /dev/null || fail "not a certificate of this form"
says() { jq -er "$1" "$T/payload"; }
BOOK=$(says .predicate.runbook); ORG=$(says .predicate.issuer.org); BY=$(says .predicate.issuer.principal)
ISSUED=$(says .predicate.issuedOn); EXPIRES=$(says .predicate.expiresOn); PERCENT=$(says .predicate.coverage.percent)
[[ "$ORG$BOOK" =~ ^[A-Za-z0-9._-]+$ ]] || fail "strange names"
[ "$(says .predicateType)" = "https://$ORG/attestation/rehearsal-certificate/v1" ] || fail "not a rehearsal certificate of $ORG"
SPACE="attest.certificate.$BOOK.rehearsal@$ORG"
[ "$(says '.predicate.issuer.personal | tostring')" = false ] || SPACE="approve.certificate.$BOOK.rehearsal@$ORG"
may() { # PATTERNS: OpenSSH's list, in which an exclusion wins; what leaves open what is signed allows nothing
  local pattern found=1
  while read -r pattern; do
    case $pattern in
      '!'*) [[ "$SPACE" != ${pattern#!} ]] || return 1 ;;
      '*'* | '?'*) ;;
      *) [[ "$SPACE" != $pattern ]] || found=0 ;;
    esac
  done < <(tr , '\n' <<< "$1")
  return $found
}
signs() { # INSTANT: the first line of the key that allows it then names who signs, and nobody else
  local at
  for at in "${!WHO[@]}"; do
    [ "${BLOBS[at]}" = "$KEY" ] && [ -z "${CA[at]}" ] && may "${SPACES[at]}" || continue
    [[ ! "$1" < "${AFTER[at]}" && ! "$1" > "${BEFORE[at]}" ]] || continue
    [ "${WHO[at]}" = "$BY" ]; return
  done
  return 1
}
ISSUED_AT=$(stamp "$ISSUED") && EXPIRES_AT=$(stamp "$EXPIRES") || fail "strange instants"
signs "$ISSUED_AT" && signs "$AT" || fail "not trusted: $BY may not sign in $SPACE"

# For how long, and for which files.
[[ ! "$AT" < "$ISSUED_AT" ]] || fail "it was issued at $ISSUED, which is still to come"
[[ "$AT" < "$EXPIRES_AT" ]] || fail "it expired at $EXPIRES"
jq -r '.subject[] | .digest.sha256 + "  " + .name' "$T/payload" > "$T/sums"
[ "$(sha256sum < "$T/sums" | cut -c1-64)" = "$(says .predicate.digest)" ] || fail "its digest is not that of its files"
if [ -n "$FILES" ]; then
  (cd "$FILES" && for f in runbook.yaml uses-*.yaml; do if [ -f "$f" ]; then sha256sum "$f"; fi; done) | sort -k2 > "$T/found"
  cmp -s "$T/found" <(sort -k2 "$T/sums") || fail "it is for another version of the runbook"
  ID=$(sed -n "s/^id:[[:space:]]*[\"']\{0,1\}\([A-Za-z0-9._-]*\)[\"']\{0,1\}[[:space:]]*\(#.*\)\{0,1\}\$/\1/p" "$FILES/runbook.yaml")
  [ "$ID" = "$BOOK" ] || fail "it is for the runbook $BOOK, and runbook.yaml has no line that gives it that id"
fi
echo "VERIFIED: rehearsal $(says .predicate.rehearsal.run) of $BOOK, $PERCENT % of its edges walked," \
  "certified by $BY of $ORG at $ISSUED, until $EXPIRES, for sha256:$(says .predicate.digest)"
