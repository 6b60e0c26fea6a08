use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::*;

mod tables;

fn lowered(source: &str) -> Result<String, Vec<Refused>> {
    let script = Script::parse_all(source).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    match lower(&script) {
        Ok(lowered) => Ok(lowered.text),
        Err(refusals) => {
            for refusal in &refusals {
                let at = &source[refusal.at.clone()];
                assert!(at.starts_with("{{") && at.ends_with("}}"), "{source}: the place is {at:?}");
            }
            Err(refusals.into_iter().map(|refusal| refusal.why).collect())
        }
    }
}

#[test]
fn rule_19_a_value_in_a_script_becomes_a_variable() {
    for (source, sent) in [
        ("echo {{ inputs.x }}", r#"echo "${CSG_1}""#),
        ("echo \"a {{ inputs.x }} b\"", r#"echo "a ${CSG_1} b""#),
        ("echo pre{{ inputs.x }}post", r#"echo pre"${CSG_1}"post"#),
        (
            "echo --x={{ inputs.x }} {{inputs.x}} {{ inputs.y }}",
            r#"echo --x="${CSG_1}" "${CSG_1}" "${CSG_2}""#,
        ),
        ("v={{ inputs.x }}; a=({{ inputs.x }} b)", r#"v="${CSG_1}"; a=("${CSG_1}" b)"#),
        ("a=([0]={{ inputs.x }} [x]={{ inputs.x }})", r#"a=([0]="${CSG_1}" [x]="${CSG_1}")"#),
        ("export V={{ inputs.x }}", r#"export V="${CSG_1}""#),
        ("v=\"$(printf '%s' \"{{ inputs.x }}\")\"", r#"v="$(printf '%s' "${CSG_1}")""#),
        ("A={{ inputs.x }} cmd", r#"A="${CSG_1}" cmd"#),
        (
            "case {{ inputs.x }} in a) echo {{ inputs.x }};; esac",
            r#"case "${CSG_1}" in a) echo "${CSG_1}";; esac"#,
        ),
        ("for i in {{ inputs.x }} b; do echo \"$i\"; done", r#"for i in "${CSG_1}" b; do echo "$i"; done"#),
        ("if [ {{ inputs.x }} = a ]; then echo y; fi", r#"if [ "${CSG_1}" = a ]; then echo y; fi"#),
        ("[[ -n {{ inputs.x }} && $a == {{ inputs.y }} ]]", r#"[[ -n "${CSG_1}" && $a == "${CSG_2}" ]]"#),
        ("cat <<< {{ inputs.x }}", r#"cat <<< "${CSG_1}""#),
        ("echo x > out/{{ inputs.x }}", r#"echo x > out/"${CSG_1}""#),
        (
            "while read -r l; do echo \"$l\"; done < <(printf %s {{ inputs.x }})",
            r#"while read -r l; do echo "$l"; done < <(printf %s "${CSG_1}")"#,
        ),
        ("bash -c 'echo \"$1\"' bash {{ inputs.x }}", r#"bash -c 'echo "$1"' bash "${CSG_1}""#),
        ("ssh -p {{ inputs.x }} -- web-01 uptime", r#"ssh -p "${CSG_1}" -- web-01 uptime"#),
        ("echo {{ inputs.x }} | grep -q a", r#"echo "${CSG_1}" | grep -q a"#),
        ("l=(a b); echo ${#l[@]} {{ inputs.x }}", r#"l=(a b); echo ${#l[@]} "${CSG_1}""#),
        ("python3 report.py {{ inputs.x }}", r#"python3 report.py "${CSG_1}""#),
        ("python3 -c 'import sys' {{ inputs.x }}", r#"python3 -c 'import sys' "${CSG_1}""#),
        ("awk -f sum.awk {{ inputs.x }}", r#"awk -f sum.awk "${CSG_1}""#),
        ("docker ps --format \"{{ '{{.Names}}' }}\"", r#"docker ps --format "${CSG_1}""#),
        ("f() { echo {{ inputs.x }}; }; f", r#"f() { echo "${CSG_1}"; }; f"#),
        ("jq --arg x {{ inputs.x }} '.a == $x' f", r#"jq --arg x "${CSG_1}" '.a == $x' f"#),
        ("echo é {{ inputs.x }} 'ü'\n# done", "echo é \"${CSG_1}\" 'ü'\n# done"),
    ] {
        assert_eq!(lowered(source).as_deref(), Ok(sent), "{source}");
    }
}

fn literal(what: &'static str) -> Refused {
    Refused::Literal(what)
}

fn code(name: &str) -> Refused {
    Refused::Code(name.to_owned())
}

fn variable(name: &str) -> Refused {
    Refused::Variable(name.to_owned())
}

fn option(name: &str) -> Refused {
    Refused::Option(name.to_owned())
}

fn program() -> Refused {
    Refused::Names("what is run")
}

fn document() -> Refused {
    Refused::Place("a here-document")
}

fn refused<const N: usize>(table: [(&str, Refused); N]) {
    for (source, why) in table {
        match lowered(source) {
            Err(found) => assert_eq!(found.first(), Some(&why), "{source}: {found:?}"),
            Ok(sent) => panic!("{source} is sent as {sent}"),
        }
    }
}

#[test]
fn rule_19_a_value_that_bash_would_read_again_is_refused() {
    refused([
        ("echo '{{ inputs.x }}'", literal("single quotes")),
        ("echo $'{{ inputs.x }}'", literal("$'…' and $\"…\"")),
        ("# {{ inputs.x }}\necho", literal("a comment")),
        ("echo $\"{{ inputs.x }}\"", Refused::Doubtful),
        ("echo \\{{ inputs.x }}", Refused::Doubtful),
        ("echo \"\\{{ inputs.x }}\"", Refused::Doubtful),
        ("cat <<EOF\n{{ inputs.x }}\nEOF", document()),
        ("cat <<'EOF'\n{{ inputs.x }}\nEOF", document()),
        ("cat <<EOF\n$(echo {{ inputs.x }})\nEOF", document()),
        ("echo `echo {{ inputs.x }}`", Refused::Place("backquotes")),
        ("echo $(( {{ inputs.x }} + 1 ))", Refused::Calculated("$((…))")),
        ("echo $(( $(echo {{ inputs.x }}) + 1 ))", Refused::Calculated("$((…))")),
        ("(( {{ inputs.x }} ))", Refused::Calculated("((…))")),
        ("for ((i=0; i<{{ inputs.x }}; i++)); do echo; done", Refused::Calculated("for ((…))")),
        ("a[{{ inputs.x }}]=1", Refused::Calculated("the index of an array")),
        ("a=([{{ inputs.x }}]=1)", Refused::Calculated("the index of an array")),
        ("a=([ {{ inputs.x }} ]=1)", Refused::Calculated("the index of an array")),
        ("a+=(b [x{{ inputs.x }}]+=1)", Refused::Calculated("the index of an array")),
        ("printf {{ inputs.x }} b", variable("printf")),
        ("printf \"{{ inputs.x }}%s\" b", variable("printf")),
        ("printf -v n {{ inputs.x }} b", variable("printf")),
        ("python3 -W ignore {{ inputs.x }}", program()),
        ("node \"./{{ inputs.x }}\"", program()),
        ("awk -f {{ inputs.x }} data", program()),
        ("make {{ inputs.x }}", code("make")),
        ("make deploy TO={{ inputs.x }}", code("make")),
        ("redis-cli -h h EVAL {{ inputs.x }} 0", code("redis-cli")),
        ("redis-cli -h h EVAL \"return '{{ inputs.x }}'\" 0", code("redis-cli")),
        ("[[ {{ inputs.x }} -eq 1 ]]", Refused::Calculated("[[ … ]] with a comparison of numbers")),
        ("echo ${a:-{{ inputs.x }}}", Refused::Place("${…}")),
        ("echo \"${a:-\"{{ inputs.x }}\"}\"", Refused::Place("${…}")),
        ("a{{ inputs.x }}=1", Refused::Names("a variable")),
        ("echo ${{ inputs.x }}", Refused::Names("a variable")),
        ("{{ inputs.x }}() { echo; }", Refused::Names("a function")),
        ("{{ inputs.x }} foo", program()),
        ("\"/bin/{{ inputs.x }}\" foo", program()),
        ("sudo -u root {{ inputs.x }}", program()),
        ("xargs -0 {{ inputs.x }}", program()),
        ("find . -exec {{ inputs.x }} \\;", program()),
        ("$(echo {{ inputs.x }}) foo", program()),
        ("PATH={{ inputs.x }} cmd", program()),
        ("LD_PRELOAD={{ inputs.x }} cmd", program()),
        ("source {{ inputs.x }}", program()),
        (". ./{{ inputs.x }}", program()),
        ("bash {{ inputs.x }}", program()),
        ("kubectl exec pod -- {{ inputs.x }}", program()),
    ]);
}

#[test]
fn rule_19_a_value_that_another_reader_takes_as_code_is_refused() {
    refused([
        ("eval {{ inputs.x }}", code("eval")),
        ("eval \"$(make {{ inputs.x }})\"", code("eval")),
        ("sh -c {{ inputs.x }}", code("sh")),
        ("bash -ec \"echo {{ inputs.x }}\"", code("bash")),
        ("sudo -- bash -c \"echo {{ inputs.x }}\"", code("bash")),
        ("ssh host \"ls {{ inputs.x }}\"", code("ssh")),
        ("ssh host ls {{ inputs.x }}", code("ssh")),
        ("psql -c \"select '{{ inputs.x }}'\"", code("psql")),
        ("psql -Atc \"select '{{ inputs.x }}'\"", code("psql")),
        ("psql -AtXc\"select '{{ inputs.x }}'\"", code("psql")),
        ("sudo -u postgres psql -d db -tAc \"select {{ inputs.x }}\"", code("psql")),
        ("mysql -Ne \"select {{ inputs.x }}\"", code("mysql")),
        ("su - web -lc \"ls {{ inputs.x }}\"", code("su")),
        ("kubectl exec pod -- sh -c \"echo {{ inputs.x }}\"", code("sh")),
        ("docker exec db mysql -e \"select {{ inputs.x }}\"", code("mysql")),
        ("python3 -c \"print({{ inputs.x }})\"", code("python3")),
        ("awk \"/{{ inputs.x }}/\" f", code("awk")),
        ("sed \"s/a/{{ inputs.x }}/\" f", code("sed")),
        ("jq \".a == {{ inputs.x }}\" f", code("jq")),
        ("trap {{ inputs.x }} EXIT", code("trap")),
        ("alias a={{ inputs.x }}", code("alias")),
        ("echo {{ inputs.x }} | bash", code("bash")),
        ("echo {{ inputs.x }} | sudo sh -s", code("sh")),
        ("echo {{ inputs.x }} | tee f | psql", code("psql")),
        ("echo {{ inputs.x }} | { cat; bash; }", code("bash")),
        ("echo {{ inputs.x }} | xargs -I% sh -c 'echo %'", code("xargs")),
        ("bash <<< {{ inputs.x }}", code("bash")),
        ("bash < <(echo {{ inputs.x }})", code("bash")),
        ("echo {{ inputs.x }} > >(bash)", code("bash")),
        ("echo {{ inputs.x }} | tee >(sh)", code("sh")),
        ("let {{ inputs.x }}", variable("let")),
        ("read {{ inputs.x }}", variable("read")),
        ("unset {{ inputs.x }}", Refused::Names("a variable")),
        ("printf -v {{ inputs.x }} a", variable("printf")),
        ("declare a={{ inputs.x }}", variable("declare")),
        ("f() { local a={{ inputs.x }}; }", variable("declare")),
        ("declare -i a; a={{ inputs.x }}", variable("declare")),
        (
            "[ {{ inputs.x }} -a {{ inputs.y }} = b ]",
            Refused::Place("[ … ] with several conditions: write [[ … ]]"),
        ),
        ("test {{ inputs.x }} {{ inputs.y }}", variable("test")),
        ("[[ -v {{ inputs.x }} ]]", variable("-v")),
        ("ssh {{ inputs.x }} uptime", option("ssh")),
        ("tar -cf a.tar {{ inputs.x }}", option("tar")),
        ("find {{ inputs.x }} -type f", option("find")),
        ("git clone {{ inputs.x }}", option("git")),
        ("timeout {{ inputs.x }} true", option("timeout")),
        ("echo > {{ inputs.x }}", Refused::Opened),
        ("echo > /dev/{{ inputs.x }}", Refused::Opened),
        ("echo >&{{ inputs.x }}", Refused::Place("a redirection")),
        ("if {{ inputs.x }}", Refused::Unreadable),
        ("echo \"{{ inputs.x }}", Refused::Unreadable),
    ]);
}

fn scratch() -> Scratch {
    Scratch::new(std::iter::empty(), None)
}

fn reading<T>(script: &str, look: impl FnOnce(&Reading<'_>) -> T) -> T {
    let tree = tree::parse(script);
    look(&Reading::new(script, tree.as_ref()))
}

fn all_in(script: &Reading<'_>) -> Vec<Danger> {
    in_script(script, &scratch())
}

fn dangers(script: &str) -> Vec<(Level, String)> {
    reading(script, all_in).into_iter().map(|danger| (danger.level, danger.what)).collect()
}

#[rustfmt::skip]
const REMOVES: &[&str] = &[
        "w=$(mktemp -d); trap \"rm -rf $HOME\" EXIT",
        "rm -rf x",
        "sudo rm --recursive x",
        "kubectl -n x delete pod y",
        "kubectl drain n",
        "kubectl scale deploy/x --replicas=0",
        "psql -c 'DROP TABLE x'",
        "psql <<E\nTRUNCATE t;\nE",
        "psql <<< 'delete from t'",
        "echo 'DROP DATABASE x' | psql",
        "firebase firestore:delete x",
        "gsutil -m rm gs://b",
        "gcloud compute instances delete x",
        "aws rds delete-db-instance x",
        "git push --force",
        "git push origin +main",
        "dd if=/dev/zero of=/dev/sda",
        "mkfs.ext4 /dev/sda",
        "truncate -s 0 x",
        "find . -delete",
        "find . -exec rm {} +",
        "find . | xargs rm",
        "terraform -chdir=x destroy",
        "docker volume rm x",
        "docker system prune -f",
        "helm uninstall x",
        "bash -c 'rm -rf x'",
        "bash <<E\nrm -rf x\nE",
        "cat <<E | sh\nrm -rf x\nE",
        "cat <<'E' | sudo bash -s\nrm -rf x\nE",
        "cat <<E | tee /tmp/log | sh\nrm -rf x\nE",
        "eval 'rm -rf x'",
        "timeout 5 nohup env A=b rm -rf x",
        "ssh web-01 'rm -rf x'",
        "ssh web-01 rm -rf x",
        "su - x -c 'rm -r x'",
        "if true; then (cd x && rm -r y) & fi",
        "f() { rm -r x; }",
        "echo \"$(rm -r x)\"",
        "echo `rm -r x`",
        "curl -X DELETE http://x",
        "curl -XDELETE http://x",
        "kubectl exec p -- rm -rf x",
        "docker exec db dropdb x",
        "bash -c \"bash -c 'rm -rf x'\"",
        "while read -r x; do rm -r \"$x\"; done",
        "redis-cli FLUSHALL",
        "x=$(rm -r y)",
        "rm -r x; ((((",
        "trap 'rm -rf x' EXIT",
        "> x rm -rf y",
        "rm 2>/dev/null -rf y",
        "rm /srv/data.db",
        "rm /tmp/../srv/x",
        "cat <<E 2>/dev/null | sh\nrm -rf x\nE",
        "cat <<-E |\n\trm -rf x\n\tE\nsh",
        "curl -sX DELETE http://x",
        "aws s3 sync a s3://b --delete",
        "gsutil -m rsync -d a gs://b",
        "rclone sync a b",
        "heroku apps:destroy",
        "mysqladmin drop x",
        "apt-get remove x",
        "virsh undefine x",
        "kafka-topics --delete --topic x",
        "python3 -c \"import shutil; shutil.rmtree('x')\"",
        "cqlsh -e 'DROP KEYSPACE x'",
        "iptables -F",
        "tar --remove-files -cf x y",
];

#[rustfmt::skip]
const CHANGES: &[&str] = &[
        "kubectl patch x",
        "kubectl apply -f x",
        "kubectl scale deploy/x --replicas=3",
        "terraform apply",
        "echo x > /etc/x",
        "curl -d a=b http://x",
        "helm upgrade x",
        "systemctl restart x",
        "echo a | sudo tee /etc/x",
        "sed -i s/a/b/ x",
        "mv /srv/a b",
        "cp /dev/null /srv/b",
        "chmod -R 000 /srv",
        "git checkout -- .",
        "umount x",
        "parted /dev/sda rm 1",
        "rm x",
        "rm -- \"$X\"",
        "cat > out <<E\nrm -rf x\nE",
        "echo x >> /var/log/x",
        "date > out",
        "date &> out",
        "date >| out",
        "cp /srv/a .",
        "cp -t /srv a",
        "mv a b",
        "mv a /tmp/b",
        "ln -s a b",
        "install -m 600 a b",
        "touch x",
        "mkdir -p x/y",
        "date | tee x",
        "date | tee -a x",
        "chmod +x y",
        "chmod -x y",
        "chown root y",
        "gzip x",
        "tar xzf a.tar.gz",
        "tar -czf a.tar.gz b",
        "unzip a.zip",
        "curl -sSO http://x/y",
        "curl -so y http://x",
        "wget http://x/y",
        "scp web-01:/a .",
        "rsync a b",
        "crontab mine",
        "useradd x",
        "sysctl -w a=b",
        "mount /dev/sdb /mnt",
        "kubectl run x --image y",
        "t=$(mktemp); t=x; rm \"$t\"",
        "(cd /tmp && rm x); rm y",
        "sed -i s/a/b/ x",
        "cat <<E | tee x\na\nE",
        "sed -Ei s/a/b/ x", "sed -ni.bak p x", "sed --in-place=.bak p x", "perl -pi -e s/a/b/ x",
        "perl -0777pi.bak -e s/a/b/ x", "sort -o x x", "sort -uo x x", "sort --output=x x",
        "find . -fprint x", "curl -ox http://y", "curl -sox http://y", "curl --output=x http://y",
        "curl -o /tmp/a http://y -o x http://z", "wget -qOx http://y", "tar --create --file=x.tar y",
        "tar -cfx.tar y", "tar -czf x.tar.gz y", "rsync -av a b", "psql -c 'replace into a values (1)'",
        "kill -9 0 1",
];

#[rustfmt::skip]
const HARMLESS: &[&str] = &[
        "echo rm -rf x",
        "kubectl get pods",
        "grep -r 'DROP TABLE' .",
        "ls -r",
        "echo x > /dev/null 2>&1",
        "git status",
        "curl -G -d a=b http://x",
        "docker ps",
        "# rm -rf x",
        "echo 'rm -rf x'",
        "kubectl delete --dry-run=client x",
        "printf '%s' 'DELETE FROM'",
        "ls delete",
        "gcloud compute instances list",
        "aws s3 ls",
        "kubectl get pod delete",
        "docker run --rm x true",
        "rm /tmp/x",
        "t=$(mktemp); date > \"$t\"; rm -f \"$t\"",
        "t=\"$(mktemp -d)\"; f=$t/x; touch \"$f\"; rm -rf \"$t\"",
        "t=$(mktemp -d); trap 'rm -rf \"$t\"' EXIT; cp a \"$t\"/b",
        "cd \"$(mktemp -d)\"; tar xzf /srv/a.tar.gz; rm x",
        "date > \"$TMPDIR/x\"",
        "date > ${TMPDIR:-/tmp}/x",
        "curl -so /dev/null http://x",
        "curl -o - http://x",
        "wget -qO- http://x",
        "tar tzf a.tar.gz",
        "tar xzOf a.tar.gz b",
        "gzip -dc x",
        "unzip -l x",
        "date 2>&1 >&2",
        "scp web-01:/a /tmp/a",
        "dd if=/dev/zero of=/dev/null",
        "dd if=a",
        "crontab -l",
        "mount",
        "patch --dry-run -p1",
        "sed -n 1p x",
        "fdisk -l",
        "apt-get update",
        "pip list",
        "virsh list",
        "grep unlink x",
        "aws s3 sync s3://b a",
        "curl -sS http://x",
        "sed -ne s/-i//p x", "sed -n -e /i/p -f pi x", "perl -ne 'print if /i/' x",
        "sort -u -o /tmp/x x", "sort -no/tmp/x x", "find . -fprint /tmp/x", "curl -o/tmp/x http://y",
        "curl --output=/dev/null http://y", "wget -O- http://x", "wget -qO/tmp/x http://y",
        "tar -cf/tmp/x.tar y", "tar --create --file=/tmp/x.tar y", "tar --create --file=- y",
        "rsync -anv --delete a/ web-01:b/", "rsync --dry-run -a --delete a/ b/", "kill -0 123",
        "apt-get -s upgrade", "apt-get install --dry-run nginx",
        "w=$(mktemp -d); trap \"rm -rf \\\"$w\\\"\" EXIT",
];

#[test]
fn rule_6_what_a_line_would_remove_is_seen() {
    let removes = |script: &&&str| dangers(script).iter().any(|(level, _)| *level == Level::Removes);
    assert_eq!(REMOVES.iter().filter(|script| !removes(script)).collect::<Vec<_>>(), [&""; 0]);
    let changes = |found: &[(Level, String)]| {
        !found.is_empty() && found.iter().all(|(level, _)| *level == Level::Changes)
    };
    let wrong = CHANGES.iter().map(|script| (script, dangers(script))).filter(|(_, found)| !changes(found));
    assert_eq!(wrong.collect::<Vec<_>>(), []);
    let wrong =
        HARMLESS.iter().map(|script| (script, dangers(script))).filter(|(_, found)| !found.is_empty());
    assert_eq!(wrong.collect::<Vec<_>>(), []);
    let words = |line: &str| line.split('|').map(Word::literal).collect::<Vec<_>>();
    for line in
        ["rm|-rf|x", "sudo|kubectl|delete|x", "bash|-c|rm -r x", "ssh|h|rm -r x", "psql|-c|DROP TABLE x"]
    {
        assert!(
            in_argv(&words(line), &scratch()).iter().any(|danger| danger.level == Level::Removes),
            "{line}"
        );
    }
    assert_eq!(in_argv(&words("echo|rm -rf x"), &scratch()), []);
}

#[test]
fn a_script_that_nobody_can_read_is_judged_by_its_words() {
    for script in
        ["echo $(( {{ x }} + 1 ))", "+ rm -r x ((", "; ((", "find . -exec + ; ((", "echo $(( + ; + ))"]
    {
        reading(script, all_in);
    }
    for words in [vec!["+"], vec![";"], vec!["sudo", "+"], vec!["find", "-exec", ";"]] {
        in_argv(&words.into_iter().map(Word::literal).collect::<Vec<_>>(), &scratch());
    }
}

#[test]
fn what_an_empty_variable_would_remove_is_seen() {
    let filled = BTreeSet::from(["FULL".to_owned()]);
    let found = |script: &str| {
        let found = reading(script, |script| wipes(script, &filled));
        found.into_iter().map(|wipe| (wipe.first, wipe.left)).collect::<Vec<_>>()
    };
    for (script, first, left) in [
        ("rm -rf \"$DIR\"/a", true, "/a"),
        ("rm -rf $X/", true, "/"),
        ("sudo rm -fr \"${X}/\"*", true, "/*"),
        ("rm -r \"$X\"*", true, "*"),
        ("rm -rf /srv/\"$X\"", false, "/srv/"),
        ("rm -rf /srv/$X/data", false, "/srv/data"),
        ("X=$(find .); rm -rf $X/a", true, "/a"),
        ("find . -exec rm -r $X/{} \\;", true, "/{}"),
    ] {
        assert_eq!(found(script), [(first, left.to_owned())], "{script}");
    }
    for script in [
        "rm -rf \"${X:?}\"/a",
        "rm -rf $FULL/a",
        "X=/srv; rm -rf $X/a",
        "rm -rf \"$X\"",
        "rm $X/a",
        "rm -rf a$X",
        ": \"${X:?}\"; rm -rf $X/a",
        "X=$(mktemp -d); rm -rf \"$X\"/a",
        "rm -rf /srv/${X:-a}",
        "for x in a b; do rm -r $x/c; done",
    ] {
        assert_eq!(found(script), [], "{script}");
    }
}

/// The parser, the walks and the table end, whatever is written, and however deep.
#[test]
fn depth_and_length_are_only_time() {
    for unit in [
        "(",
        "$(",
        "{ ",
        "\"$(",
        "`",
        "${a:-",
        "((",
        "<(",
        "<<E\n",
        "a | ",
        "$((1+",
        "sudo ",
        "find -exec ",
        "docker exec ",
        "a;",
        "rm -rf $x/ ",
        "[[ a && ",
        "x=( ",
    ] {
        let long = ["(", "$("].contains(&unit).then_some(1_000_000);
        for bytes in long.into_iter().chain([SCRIPT_BYTES - 100]) {
            let script = format!("{}echo {{{{ inputs.x }}}}", unit.repeat(bytes / unit.len()));
            let begun = Instant::now();
            let lowered = lower(&Script::parse_all(&script).expect("one value"));
            reading(&script, |script| (all_in(script), wipes(script, &BTreeSet::new())));
            if bytes == 1_000_000 {
                assert_eq!(lowered.unwrap_err()[0].why, Refused::TooLong);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{unit}: {:?}", begun.elapsed());
        }
    }
}

#[test]
fn rule_19_a_value_that_a_variable_carries_to_another_reader_is_seen() {
    let from =
        |name: &str, script: &str| reading(script, |script| carried(script, &[name.to_owned()], "CSG_"));
    let found = |script: &str| from("V", script);
    let scripts = [
        "echo $((V + 1))",
        "n=$V; echo $(( n * 2 ))",
        "n=\"a $V\"; m=$n; (( m > 3 ))",
        "[[ $V -gt 3 ]]",
        "[[ V -gt 3 ]]",
        "a[$V]=1",
        "echo \"${a[V]}\"",
        "for ((i=0; i<V; i++)); do echo; done",
        "for x in a \"$V\"; do (( x )); done",
        "read -r a b <<< \"$V\"; let c=$b",
        "set -- \"$V\"; eval \"$1\"",
        "f() { (( $1 )); }; f \"$V\"",
        "f() { local -i n=$1; }; f \"$V\"",
        "eval \"$V\"",
        "$V foo",
        "bash -c \"$V\"",
        "ssh h \"ls $V\"",
        "psql -c \"select '$V'\"",
        "sh <<< \"$V\"",
        "sh <<E\nls $V\nE",
        "cat <<E | sh\nls $V\nE",
        "cat <<E | tee /tmp/log | sudo bash -s\nls $V\nE",
        "cat <<E 2>/dev/null | sh\nls ${V}\nE",
        "cat <<-E |\n\tls $V\n\tE\nsh",
        "{ cat <<E\nls $V\nE\n} | sh",
        "cat <<< \"ls $V\" | sh",
        "echo \"$V\" | sudo sh",
        "echo \"${!V}\"",
        "unset \"$V\"",
        "test -v \"$V\"",
        "[ -v \"$V\" ] && [[ -v $V ]]",
        "printf -v \"$V\" x",
        "x=$(echo \"$V\"); eval \"$x\"",
    ];
    assert_eq!(scripts.iter().filter(|script| found(script).is_empty()).collect::<Vec<_>>(), [&""; 0]);
    for script in scripts {
        assert_eq!(from("W", script), [], "{script}");
    }
    for script in [
        "echo $V \"${V:-a}\" ${#V} $((${#V} + 1))",
        "n=$V; [ \"$n\" -gt 3 ]; [[ $n == a && -n $n ]]; test \"$n\" -gt 3",
        "if [ \"$V\" = a ] || test \"$V\" = b -o \"$V\" = c; then true; fi",
        "f() { local x=\"$1\"; echo \"$x\"; }; f \"$V\"; n=0; (( n + 1 ))",
        "declare -A m; m[$V]=1",
        "bash -c 'echo \"$1\"' bash \"$V\"",
        "cat <<E\n$V\nE",
        "echo \"$V\" | grep a | wc -l",
        "cat <<E | grep a\n$V\nE",
        "cat <<'E' | sh\n$V\nE",
        "n=$(grep -c \"$V\" f); (( $(wc -l < \"$V\") > 3 ))",
        "case $V in a) ;; esac; rm -- \"$V\"; export A=\"$V\"; PATH=\"$V:$PATH\" ls",
        "for x in \"$V\"; do echo \"$x\"; done; set -- \"$V\"; echo $((n + 1)) \"$1\"",
    ] {
        assert_eq!(found(script), [], "{script}");
    }
}
