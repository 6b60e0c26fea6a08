//! Ways to another host: a real sshd (`sshd.rs`), a stand-in for ssh, and prefixes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use consigne::plan::{Action, Program, ProgramCall, Reach, RemoteCall, ShellCall};
use consigne::runbook::template::Rendered;

use crate::world::text;

pub use crate::sshd::Sshd;

pub fn via(prefix: &[&str]) -> Reach {
    Reach::Via(prefix.iter().map(|word| (*word).to_owned()).collect())
}

pub fn on(reach: &Reach, program: Program<Rendered>) -> Action<Rendered> {
    Action::Remote(Box::new(RemoteCall { host: text("there"), reach: Some(reach.clone()), program }))
}

pub fn script(reach: &Reach, script: &str, env: &[(&str, Rendered)]) -> Action<Rendered> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    on(reach, Program::Shell(ShellCall { script: script.to_owned(), env, cwd: None }))
}

pub fn words(reach: &Reach, argv: &[&str], env: &[(&str, &str)], cwd: Option<&str>) -> Action<Rendered> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    let argv = argv.iter().map(|word| text(word)).collect();
    on(reach, Program::Argv(ProgramCall { argv, env, cwd: cwd.map(text) }))
}

/// A folder with one program called `ssh`, which hands the command to a login shell as the real one does.
pub fn stand_in(folder: &Path, login: &str) -> PathBuf {
    let bin = folder.join(format!("bin-{}", login.rsplit('/').next().unwrap()));
    fs::create_dir(&bin).unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {}/ssh.log\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\ncd \"$HOME\" || exit 255\nexec {login} -c \"$*\"\n",
        folder.display()
    );
    fs::write(bin.join("ssh"), text).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

/// A prefix behind which `sh` is that shell, and only these programs are there.
pub fn narrow(folder: &Path, sh: &Path, programs: &[&str]) -> Reach {
    let bin = folder.join(format!("only-{}", sh.file_name().unwrap().to_string_lossy()));
    fs::create_dir_all(&bin).unwrap();
    symlink(sh, bin.join("sh")).unwrap();
    for program in programs {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(program))
            .find(|path| path.is_file());
        symlink(found.expect(program), bin.join(program)).unwrap();
    }
    via(&["env", &format!("PATH={}", bin.display())])
}
