#!/usr/bin/env bash
# Verifies a rehearsal certificate with stock tools alone: bash 4.4, coreutils, sed, jq, openssl 3.
#
#   verify-certificate.sh CERTIFICATE TRUST [FILES [INSTANT]]
#
# TRUST is yours: a folder with `allowed_signers`. FILES is a folder with the runbook that it has to be for: `runbook.yaml`
# and `uses-ID.yaml` of those that it uses, as `plan/` of every run has them. INSTANT is when it has to count, such as
# 2026-11-23T12:00:00Z; else now. Which coverage or age an environment asks for is in `plan/graph.json`, and printed here.
set -euo pipefail
export LC_ALL=C
[ $# -ge 2 ] || { echo "usage: verify-certificate.sh CERTIFICATE TRUST [FILES [INSTANT]]" >&2; exit 2; }
CERT=$1; TRUST=$2; FILES=${3:-}; INSTANT=${4:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
fail() { echo "REFUSED: $*" >&2; exit 1; }
trap 'echo "REFUSED: line $LINENO of verify-certificate.sh: a check failed" >&2' ERR
stamp() { sed 's/\.[0-9]*Z$//; s/[-:TZ]//g' <<< "$1"; }              # fourteen digits, in UTC
AT=$(stamp "$INSTANT"); [[ "$AT" =~ ^[0-9]{14}$ ]] || fail "$INSTANT: not an instant such as 2026-11-23T12:00:00Z"

# The envelope, its payload not believed yet. What never ends is no certificate.
[ -f "$CERT" ] || fail "$CERT: not a file"
[ "$(stat -Lc %s -- "$CERT")" -le 33554432 ] || fail "$CERT: longer than 32 MiB"
jq -cS . "$CERT" | cmp -s - "$CERT" || fail "not one canonical line"
TYPE=$(jq -er .payloadType "$CERT"); KEYID=$(jq -er '.signatures[0].keyid' "$CERT")
[ "$TYPE" = application/vnd.in-toto+json ] && [ "$(jq '.signatures | length' "$CERT")" -eq 1 ] || fail "not an envelope"
jq -r .payload "$CERT" | base64 -d > "$T/payload"
{ printf 'DSSEv1 %s %s %s ' "${#TYPE}" "$TYPE" "$(stat -c %s "$T/payload")"; cat "$T/payload"; } > "$T/pae"
jq -r '.signatures[0].sig' "$CERT" | base64 -d > "$T/sig"

# The key behind it: an Ed25519 key of allowed_signers, in the form that openssl reads.
KEY=''
while read -r blob; do
  { printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'; base64 -d <<< "$blob" | tail -c 32; } > "$T/der"
  if [ "$(sha256sum < "$T/der" | cut -c1-64)" = "$KEYID" ]; then KEY=$blob; break; fi
done < <(grep -v '^[[:space:]]*#' "$TRUST/allowed_signers" | sed -n 's/.*ssh-ed25519 \(AAAA[A-Za-z0-9+/=]*\).*/\1/p')
[ -n "$KEY" ] || fail "not trusted: no key in allowed_signers has the key id $KEYID"
openssl pkeyutl -verify -pubin -keyform DER -inkey "$T/der" -rawin -in "$T/pae" -sigfile "$T/sig" > /dev/null 2>&1 ||
  fail "its signature does not match"

# What it says, and who may say that: the namespace of whoever signed, when it was issued and at the instant.
says() { jq -er "$1" "$T/payload"; }
BOOK=$(says .predicate.runbook); ORG=$(says .predicate.issuer.org); BY=$(says .predicate.issuer.principal)
ISSUED=$(says .predicate.issuedOn); EXPIRES=$(says .predicate.expiresOn); PERCENT=$(says .predicate.coverage.percent)
[[ "$ORG$BOOK" =~ ^[A-Za-z0-9._-]+$ ]] || fail "strange names"
[ "$(says .predicateType)" = "https://$ORG/attestation/rehearsal-certificate/v1" ] || fail "not a rehearsal certificate of $ORG"
SPACE="attest.certificate.$BOOK.rehearsal@$ORG"
[ "$(says '.predicate.issuer.personal | tostring')" = false ] || SPACE="approve.certificate.$BOOK.rehearsal@$ORG"
within() { # OPTIONS INSTANT: the key counts then
  local after before
  after=$(sed -n 's/.*valid-after="\([0-9]*\)Z".*/\1/p' <<< "$1"); before=$(sed -n 's/.*valid-before="\([0-9]*\)Z".*/\1/p' <<< "$1")
  after=${after:-00000000000000}; before=${before:-99999999999999}
  while [ "${#after}" -lt 14 ]; do after=${after}0; done; while [ "${#before}" -lt 14 ]; do before=${before}0; done
  [[ ! "$2" < "$after" && ! "$2" > "$before" ]]
}
may() { # PATTERNS: OpenSSH's list, in which an exclusion wins
  local pattern found=1
  while read -r pattern; do
    case $pattern in
      '!'*) [[ "$SPACE" != ${pattern#!} ]] || return 1 ;;
      *) [[ "$SPACE" != $pattern ]] || found=0 ;;
    esac
  done < <(tr , '\n' <<< "$1")
  return $found
}
ALLOWED=''
while read -r who options; do
  [ "$who" = "$BY" ] && [[ "$options" != *cert-authority* ]] || continue
  if within "$options" "$(stamp "$ISSUED")" && within "$options" "$AT" &&
    may "$(sed -n 's/.*namespaces="\([^"]*\)".*/\1/p' <<< "$options")"; then ALLOWED=yes; fi
done < <(grep -F -- "$KEY" "$TRUST/allowed_signers" | grep -v '^[[:space:]]*#')
[ -n "$ALLOWED" ] || fail "not trusted: $BY may not sign in $SPACE"

# For how long, and for which files.
[[ ! "$AT" < "$(stamp "$ISSUED")" ]] || fail "it was issued at $ISSUED, which is still to come"
[[ "$AT" < "$(stamp "$EXPIRES")" ]] || fail "it expired at $EXPIRES"
jq -r '.subject[] | .digest.sha256 + "  " + .name' "$T/payload" > "$T/sums"
[ "$(sha256sum < "$T/sums" | cut -c1-64)" = "$(says .predicate.digest)" ] || fail "its digest is not that of its files"
if [ -n "$FILES" ]; then
  (cd "$FILES" && for f in runbook.yaml uses-*.yaml; do if [ -f "$f" ]; then sha256sum "$f"; fi; done) | sort -k2 > "$T/found"
  cmp -s "$T/found" <(sort -k2 "$T/sums") || fail "it is for another version of the runbook"
fi
echo "VERIFIED: rehearsal $(says .predicate.rehearsal.run) of $BOOK, $PERCENT % of its edges walked," \
  "certified by $BY of $ORG at $ISSUED, until $EXPIRES, for sha256:$(says .predicate.digest)"
