//! Values in scripts, run by bash itself: in every place that takes one, and behind every place that does not.

use std::path::Path;
use std::process::Command;

use consigne::runbook::shell::{Script, lower};

use super::values::{hostile, is_handed_over};

/// Runs a script as a step would, with the variables that carry its values.
fn bash(folder: &Path, script: &str, values: &[(String, String)]) -> (i32, String) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(values.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Places in which a value can stand. Each writes it, and a zero byte, to `out`.
const PLACES: [&str; 18] = [
    "printf '%s\\0' @ >> out",
    "printf '%s\\0' \"@\" >> out",
    "printf '%s' \"\" @ >> out; printf '\\0' >> out",
    "v=@; printf '%s\\0' \"$v\" >> out",
    "export V=@; printf '%s\\0' \"$V\" >> out",
    "a=(x @ y); printf '%s\\0' \"${a[1]}\" >> out",
    "v=$(printf '%s.' @); printf '%s\\0' \"${v%.}\" >> out",
    "v=\"$(printf '%s.' \"@\")\"; printf '%s\\0' \"${v%.}\" >> out",
    "for i in @; do printf '%s\\0' \"$i\" >> out; done",
    "case @ in *) printf '%s\\0' @ >> out;; esac",
    "if [[ -n x@ && @ == @ && y != x@ ]]; then printf '%s\\0' @ >> out; fi",
    "if [ @ = @ ]; then printf '%s\\0' @ >> out; fi",
    "if test -n x@; then printf '%s\\0' @ >> out; fi",
    "IFS= read -r -d '' v < <(printf '%s\\0' @); printf '%s\\0' \"$v\" >> out",
    "printf '%s\\0' @ | cat >> out",
    "f() { printf '%s\\0' \"$1\" >> out; }; f @",
    "bash -c 'printf \"%s\\0\" \"$1\" >> out' bash @",
    "V=@ bash -c 'printf \"%s\\0\" \"$V\" >> out'",
];

#[test]
fn rule_19_every_value_arrives_whole_in_every_place_of_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    let values: Vec<String> = hostile(&canary.display().to_string());
    let values: Vec<&String> =
        values.iter().filter(|value| is_handed_over(value) && value.len() < 60_000).collect();
    assert!(values.len() >= 190, "{}", values.len());
    for place in PLACES {
        for chunk in values.chunks(100) {
            let script: String = (0..chunk.len())
                .map(|at| format!("{}\n", place.replace('@', &format!("{{{{ inputs.v[{at}] }}}}"))))
                .collect();
            let lowered =
                lower(&Script::parse_all(&script).unwrap()).unwrap_or_else(|why| panic!("{place}: {why:?}"));
            let carried: Vec<(String, String)> = lowered
                .values
                .iter()
                .map(|(name, template)| {
                    let number = template.source().trim_matches(|c: char| !c.is_ascii_digit());
                    (name.clone(), chunk[number.parse::<usize>().unwrap()].clone())
                })
                .collect();
            let (code, said) = bash(folder.path(), &lowered.text, &carried);
            assert_eq!(code, 0, "{place}: {said}");
            let out = std::fs::read(folder.path().join("out")).unwrap();
            let arrived: Vec<&[u8]> = out.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0).collect();
            let sent: Vec<&[u8]> = chunk.iter().map(|value| value.as_bytes()).collect();
            for (at, (arrived, sent)) in arrived.iter().zip(&sent).enumerate() {
                assert!(
                    arrived == sent,
                    "{place}: {:?} arrived as {:?}",
                    chunk[at],
                    String::from_utf8_lossy(arrived)
                );
            }
            assert_eq!(arrived.len(), sent.len(), "{place}");
            std::fs::remove_file(folder.path().join("out")).unwrap();
            assert!(!canary.exists(), "{place}: a value was executed");
        }
    }
}

/// What may stand around a place, so that each meets each.
const AROUND: [&str; 30] = [
    "@",
    "$(@)",
    "\"$(@)\"",
    "`@`",
    "(@)",
    "{ @; }",
    "if true; then @; fi",
    "while true; do @; break; done",
    "f() { @; }; f",
    "! @ || true",
    "@ | cat",
    "cat < <(@)",
    "v=$(@); echo \"$v\"",
    "v=$(@); echo $v",
    "echo \"a $(@) b\"",
    "[[ $(@) == x ]] || true",
    "echo $(( $(@) ))",
    "eval \"$(@)\"",
    "bash -c \"$(@)\"",
    "case $(@) in x) ;; esac",
    "a=(\"$(@)\")",
    "declare x=$(@)",
    "@ | bash",
    "bash <<< \"$(@)\"",
    "cat <<E\n$(@)\nE",
    "[ -n \"$(@)\" ]",
    "[[ -v $(@) ]] || true",
    "$(@)",
    "let \"$(@)\"",
    "@ > >(bash)",
];
const WITHIN: [&str; 34] = [
    "echo @",
    "echo \"@\"",
    "echo '@'",
    "echo x@y",
    "echo \\@",
    "echo \"\\@\"",
    "echo $@",
    "echo \"$@\"",
    "echo $'@'",
    "echo $\"@\"",
    "echo `echo @`",
    "echo ${x:-@}",
    "echo \"${x:-@}\"",
    "echo $((@))",
    "@ x",
    "x=@",
    "x[@]=1",
    "declare -i x=@",
    "local x=@",
    "printf -v @ x",
    "[ @ x ]",
    "test @ @",
    "[[ @ -eq 1 ]]",
    "[[ -n @ ]]",
    "let @",
    "read @ <<< x",
    "eval @",
    "find . -maxdepth 0 -exec @ \\;",
    "xargs @ < /dev/null",
    "unset @",
    "echo > @",
    "cat <<E\n@\nE",
    "trap @ EXIT",
    "export @",
];

/// Whatever is accepted is safe: bash never runs what a value holds, whatever stands around it.
#[test]
fn rule_19_no_script_that_is_accepted_executes_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let values = [
        format!("PATH[$({touch})]"),
        format!("x; {touch} #"),
        format!("`{touch}`'\"$({touch})"),
        touch.clone(),
        format!("([0]=$({touch}))"),
    ];
    let (mut accepted, mut refused) = (0, 0);
    for around in AROUND {
        for within in WITHIN {
            let source = around.replace('@', &within.replace('@', "{{ inputs.v }}"));
            let Ok(script) = Script::parse_all(&source) else { continue };
            let Ok(lowered) = lower(&script) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let names: Vec<&String> = lowered.values.iter().map(|(name, _)| name).collect();
            for value in &values {
                let carried: Vec<(String, String)> =
                    names.iter().map(|name| ((*name).clone(), value.clone())).collect();
                bash(folder.path(), &lowered.text, &carried);
                assert!(!canary.exists(), "{source:?} runs {value:?}:\n{}", lowered.text);
            }
        }
    }
    assert!(accepted > 60 && refused > 400, "{accepted} accepted, {refused} refused");
}

/// The same values do run where they are put without care: else the tests above would show nothing.
#[test]
fn the_values_bite() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("canary");
    let touch = format!("touch {}", canary.display());
    for (script, value) in [
        ("[[ \"${CSG_1}\" -eq 1 ]]", format!("PATH[$({touch})]")),
        ("echo $(( $(echo \"${CSG_1}\") + 1 ))", format!("PATH[$({touch})]")),
        ("eval \"${CSG_1}\"", touch.clone()),
        ("declare -a x=\"${CSG_1}\"", format!("([0]=$({touch}))")),
        ("printf -v \"${CSG_1}\" x", format!("PATH[$({touch})]")),
        ("echo \"${CSG_1}\" | bash", touch.clone()),
        ("[ \"${CSG_1}\" \"${CSG_2}\" ]", "-v".to_owned()),
    ] {
        let carried = [("CSG_1".to_owned(), value), ("CSG_2".to_owned(), format!("PATH[$({touch})]"))];
        bash(folder.path(), script, &carried);
        assert!(canary.exists(), "{script} does not run {carried:?}");
        std::fs::remove_file(&canary).unwrap();
    }
}
