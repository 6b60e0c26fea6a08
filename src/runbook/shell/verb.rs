//! Programs whose verb or option says what they do to the world: clouds, clusters, services, stores, firewalls.
//!
//! Owns the tables. A verb that ends in `*` stands for all that begin so.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::danger::Level;
use super::word::Word;

/// What programs remove and change by their verbs.
struct Verbs {
    programs: &'static [&'static str],
    /// How many words that are no options may stand before the end of the verb, itself included.
    within: usize,
    removes: &'static [&'static str],
    changes: &'static [&'static str],
    /// Verbs that only look, besides those of all programs: what stands behind one is a name.
    reads: &'static [&'static str],
}

/// Verbs that only look, whatever the program.
const READS: &[&str] = &[
    "list",
    "list-*",
    "ls",
    "describe",
    "describe-*",
    "get",
    "get-*",
    "show",
    "show-*",
    "view",
    "status",
    "history",
    "logs",
    "log",
    "cat",
    "stat",
    "help",
    "version",
    "info",
    "search",
    "diff",
    "lookup",
    "lookup-*",
    "head-*",
    "head",
    "read",
    "validate",
    "wait",
];

#[rustfmt::skip]
const VERBS: &[Verbs] = &[
    Verbs { programs: &["aws"], within: 3,
        removes: &["rm", "rb", "delete", "delete-*", "terminate-*", "remove-*", "deregister-*", "release-*",
            "revoke-*", "purge-*", "batch-delete-*", "schedule-key-deletion", "detach-*"],
        changes: &["create-*", "put-*", "update-*", "modify-*", "run-*", "start-*", "stop-*", "reboot-*", "attach-*",
            "associate-*", "disassociate-*", "authorize-*", "set-*", "add-*", "tag-*", "untag-*", "send-*", "invoke",
            "publish", "publish-*", "change-*", "rotate-*", "restore-*", "register-*", "enable-*", "disable-*",
            "import-*", "copy-*", "reset-*", "cancel-*", "execute-*", "failover-*", "promote-*", "batch-write-*",
            "batch-put-*", "transact-write-*", "upload-*", "complete-*", "abort-*", "replace-*", "move-*", "mb", "mv",
            "deploy", "allocate-*", "unlock", "apply-*", "accept-*", "reject-*", "signal-*", "terminate", "continue-*",
            "rollback-*", "force-*", "resume-*", "suspend-*", "scale-*"],
        reads: &["wait", "lookup-events", "presign", "start-query", "filter-log-events"] },
    Verbs { programs: &["gcloud"], within: 7,
        removes: &["delete", "destroy", "rm", "purge", "remove-*"],
        changes: &["create", "create-*", "update", "update-*", "start", "stop", "reset", "restart", "restart-*", "resize",
            "patch", "deploy", "enable", "disable", "import", "insert", "publish", "add-*", "set-*", "set", "unset", "move",
            "cp", "mv", "clone", "promote-*", "failover", "suspend", "resume", "apply", "cancel", "rollback", "upgrade",
            "add", "execute", "call", "attach-*", "detach-*", "rotate-*", "undelete", "restore", "rsync", "activate-*"],
        reads: &["print-*", "auth", "operations", "ssh"] },
    Verbs { programs: &["az"], within: 7,
        removes: &["delete", "purge", "remove", "destroy", "delete-*"],
        changes: &["create", "update", "start", "stop", "deallocate", "restart", "set", "add", "upload", "upload-batch",
            "upgrade", "scale", "failover", "redeploy", "reimage", "import", "restore", "enable", "disable", "invoke",
            "assign", "attach", "detach", "regenerate", "renew", "reset", "swap", "sync", "move", "grant-access",
            "revoke-access", "cancel", "run-command", "copy", "generalize", "approve", "reject", "append"],
        reads: &["account", "export"] },
    Verbs { programs: &["gsutil", "s3cmd", "mc", "rclone", "bq"], within: 4,
        removes: &["rm", "rb", "del", "delete", "deletefile", "purge", "remove", "cleanup"],
        changes: &["mv", "mb", "put", "move", "moveto", "mk", "mkdir", "load", "update", "insert", "setacl", "mirror",
            "acl", "iam", "rewrite", "setmeta", "retention", "versioning", "lifecycle", "copy", "copyto"],
        reads: &["du", "hash", "size", "query", "extract", "cp"] },
    Verbs { programs: &["doctl", "hcloud", "ibmcloud", "gh", "openstack", "linode-cli"], within: 5,
        removes: &["delete", "destroy", "rm", "remove", "purge", "delete-*", "linodes-delete"],
        changes: &["create", "update", "edit", "set", "add", "merge", "close", "reopen", "comment", "review", "upload",
            "enable", "disable", "rerun", "cancel", "transfer", "power-off", "power-on", "power-cycle", "poweroff",
            "poweron", "reboot", "shutdown", "reset", "rebuild", "resize", "start", "stop", "attach", "detach", "assign",
            "unassign", "rename", "change-*", "attach-*", "detach-*", "restore", "migrate", "unset", "archive", "sync"],
        reads: &["api", "checks", "download"] },
    Verbs { programs: &["terraform", "tofu", "terragrunt", "pulumi", "vagrant"], within: 1, removes: &["destroy"],
        changes: &["apply", "up", "import", "taint", "untaint", "force-unlock", "refresh", "halt", "reload", "suspend",
            "resume", "provision", "cancel"], reads: &["plan", "preview", "output", "validate"] },
    Verbs { programs: &["terraform", "tofu", "terragrunt", "pulumi"], within: 2, removes: &["rm", "delete"],
        changes: &["mv", "push", "new", "select", "replace-provider"], reads: &["plan", "output", "pull"] },
    Verbs { programs: &["docker", "podman", "nerdctl", "docker-compose", "crictl", "ctr"], within: 3,
        removes: &["rm", "rmi", "prune", "down", "remove", "leave"],
        changes: &["stop", "kill", "restart", "push", "up", "start", "pause", "unpause", "update", "create", "rename",
            "commit", "load", "import", "tag", "build", "scale", "rollback", "deploy", "connect", "disconnect", "init",
            "join", "promote", "demote", "drain"],
        reads: &["exec", "run", "ps", "inspect", "images", "stats", "top", "port", "events", "cp", "pull"] },
    Verbs { programs: &["zfs", "zpool"], within: 1, removes: &["destroy", "rollback"],
        changes: &["set", "create", "snapshot", "receive", "recv", "rename", "promote", "clone", "mount", "unmount",
            "inherit", "add", "attach", "detach", "remove", "replace", "offline", "online", "clear", "import", "export",
            "scrub", "trim", "upgrade", "hold", "release", "load-key", "unload-key"], reads: &[] },
    Verbs { programs: &["restic", "borg"], within: 2, removes: &["forget", "prune", "delete"],
        changes: &["backup", "create", "init", "tag", "unlock", "compact", "rebuild-index", "migrate", "break-lock"],
        reads: &["snapshots", "check", "find", "stats"] },
    Verbs { programs: &["vault", "bao"], within: 3,
        removes: &["delete", "destroy", "disable", "revoke"],
        changes: &["put", "patch", "write", "undelete", "rollback", "create", "renew", "seal", "unseal", "init", "rekey",
            "rotate", "step-down", "enable", "tune", "move", "remove-peer", "restore", "reload"],
        reads: &["read", "capabilities", "login", "unwrap"] },
    Verbs { programs: &["consul", "etcdctl"], within: 2,
        removes: &["delete", "del", "remove", "leave", "force-leave", "deregister", "rm"],
        changes: &["put", "txn", "add", "update", "join", "maint", "reload", "register", "restore", "defrag", "compact",
            "compaction", "import", "promote", "grant", "revoke", "set", "mk", "lock"], reads: &["members"] },
    Verbs { programs: &["redis-cli", "valkey-cli", "keydb-cli"], within: 9,
        removes: &["del", "unlink", "flushall", "flushdb", "hdel", "lrem", "srem", "zrem", "xdel", "getdel", "lpop",
            "rpop", "spop", "zpopmin", "zpopmax", "ltrim", "xtrim", "zremrange*", "shutdown"],
        changes: &["set", "setex", "setnx", "psetex", "mset", "msetnx", "getset", "append", "setrange", "incr", "incrby",
            "incrbyfloat", "decr", "decrby", "expire", "pexpire", "expireat", "pexpireat", "persist", "rename", "renamenx",
            "hset", "hmset", "hsetnx", "hincrby", "lpush", "rpush", "lset", "linsert", "sadd", "smove", "zadd", "zincrby",
            "xadd", "xack", "publish", "failover", "kill", "replicaof", "slaveof", "swapdb", "move", "copy", "restore",
            "migrate", "save", "bgsave", "bgrewriteaof", "rewrite", "resetstat", "reset", "forget", "meet", "setslot",
            "addslots", "delslots", "pfadd", "setbit", "geoadd"],
        reads: &["ping", "keys", "scan", "ttl", "type", "exists", "mget", "hget", "hgetall", "llen", "lrange", "smembers",
            "scard", "zrange", "zcard", "dbsize", "memory", "monitor", "xlen", "xrange", "strlen", "lastsave", "role",
            "nodes", "doctor", "slowlog", "latency", "eval", "subscribe"] },
    Verbs { programs: &["rabbitmqctl", "rabbitmqadmin", "rabbitmq-plugins"], within: 2,
        removes: &["reset", "force_reset", "delete_*", "purge_*", "clear_*", "delete", "purge", "forget_cluster_node"],
        changes: &["stop_app", "start_app", "stop", "shutdown", "set_*", "add_*", "change_*", "close_*", "join_cluster",
            "restart_vhost", "enable", "disable", "declare", "publish", "import", "rotate_logs", "sync_queue", "hipe_*"],
        reads: &["list_*"] },
    Verbs { programs: &["systemctl", "service", "supervisorctl", "rc-service", "initctl", "pm2", "sv", "snapctl"], within: 2,
        removes: &[],
        changes: &["stop", "disable", "mask", "restart", "start", "enable", "kill", "reload", "unmask", "isolate", "edit",
            "set-*", "reset-failed", "daemon-reload", "daemon-reexec", "reboot", "poweroff", "halt", "suspend",
            "hibernate", "kexec", "rescue", "emergency", "try-restart", "reload-or-restart", "condrestart",
            "force-reload", "preset", "reenable", "revert", "link", "clean", "freeze", "thaw", "delete", "reread",
            "update", "shutdown", "add", "remove", "signal", "scale", "save", "up", "down", "hup", "term"], reads: &["is-*"] },
    Verbs { programs: &["apt", "apt-get", "yum", "dnf", "zypper", "pip", "pip3", "npm", "snap", "flatpak", "apk", "gem",
            "cargo", "brew"], within: 2,
        removes: &["remove", "purge", "autoremove", "erase", "uninstall", "unpublish", "del", "yank"],
        changes: &["install", "upgrade", "dist-upgrade", "full-upgrade", "publish", "refresh", "add", "downgrade", "in"],
        reads: &[] },
    Verbs { programs: &["virsh", "VBoxManage", "vboxmanage", "btrfs", "cryptsetup", "mysqladmin", "influx", "velero",
            "eksctl", "kops", "kubeadm", "argocd", "istioctl", "linkerd", "k3d", "kind", "minikube", "oc-mirror"], within: 4,
        removes: &["delete", "destroy", "undefine", "unregistervm", "luksFormat", "erase", "drop", "purge", "reset",
            "uninstall", "luksErase", "vol-wipe", "terminate-op"],
        changes: &["create", "install", "apply", "sync", "set", "rollback", "join", "init", "upgrade", "scale", "start",
            "shutdown", "reboot", "suspend", "resume", "managedsave", "migrate", "define", "attach-*", "detach-*",
            "snapshot-create*", "snapshot-revert", "open", "close", "luksOpen", "luksClose", "luksAddKey", "flush-*",
            "reload", "kill", "password", "stop", "update", "replace", "edit", "add", "write", "snapshot"],
        reads: &["query"] },
    Verbs { programs: &["nft"], within: 2, removes: &["delete", "flush", "destroy"],
        changes: &["add", "insert", "create", "replace", "rename", "reset"], reads: &[] },
    Verbs { programs: &["ufw"], within: 2, removes: &["delete", "reset"],
        changes: &["allow", "deny", "reject", "limit", "enable", "disable", "reload", "insert", "route", "default",
            "logging"], reads: &[] },
    Verbs { programs: &["ip", "tc", "bridge", "route", "ovs-vsctl"], within: 4, removes: &[],
        changes: &["add", "del", "delete", "set", "flush", "change", "replace", "append", "add-*", "del-*"],
        reads: &[] },
    Verbs { programs: &["hostnamectl", "timedatectl", "localectl", "loginctl", "networkctl", "resolvectl", "nmcli"],
        within: 3, removes: &["delete", "terminate-*"],
        changes: &["set-*", "hostname", "kill-*", "lock-*", "up", "down", "modify", "add", "reload", "flush-caches",
            "revert", "edit", "connect", "disconnect", "on", "off"], reads: &[] },
    Verbs { programs: &["nomad"], within: 2, removes: &[],
        changes: &["stop", "run", "purge", "restart", "drain", "revert", "scale", "dispatch", "promote", "fail"],
        reads: &[] },
    Verbs { programs: &["heroku", "fly", "flyctl", "vercel", "netlify", "firebase", "wrangler", "serverless"], within: 2,
        removes: &["destroy", "delete", "remove", "rm"],
        changes: &["deploy", "config:set", "config:unset", "ps:*", "maintenance:*", "restart", "scale", "set", "unset",
            "import", "rollback", "promote", "pg:reset", "addons:*", "releases:rollback", "functions:*", "stop", "start"],
        reads: &["functions:log", "functions:list", "addons:info"] },
    Verbs { programs: &["rails", "rake", "alembic", "flyway", "liquibase", "artisan"], within: 2,
        removes: &["db:drop*", "db:reset", "clean", "dropAll", "drop-all", "migrate:fresh", "migrate:reset", "downgrade",
            "db:wipe", "db:purge"],
        changes: &["db:*", "migrate", "migrate:*", "upgrade", "stamp", "repair", "undo", "baseline", "update", "rollback",
            "runner"],
        reads: &["db:version", "db:migrate:status", "migrate:status", "current", "heads"] },
    Verbs { programs: &["nodetool"], within: 6,
        removes: &["decommission", "removenode", "assassinate", "clearsnapshot", "truncatehints"],
        changes: &["repair", "drain", "flush", "cleanup", "compact", "move", "rebuild", "scrub", "stopdaemon", "disable*",
            "enable*", "set*", "snapshot", "refresh", "invalidate*", "upgradesstables"], reads: &[] },
    Verbs { programs: &["stripe"], within: 3, removes: &["delete", "cancel"],
        changes: &["create", "update", "capture", "confirm", "pay", "void", "close", "post", "trigger"], reads: &[] },
    Verbs { programs: &["nginx", "apachectl", "apache2ctl", "pg_ctl", "pg_ctlcluster", "rndc", "haproxyctl"], within: 4,
        removes: &[], changes: &["reload", "restart", "stop", "quit", "reopen", "graceful", "graceful-stop", "start",
            "promote", "kill", "freeze", "thaw", "flush", "retransfer", "refresh", "reconfig", "addzone", "delzone"],
        reads: &["configtest"] },
    Verbs { programs: &["certbot"], within: 1, removes: &["delete", "revoke"],
        changes: &["renew", "certonly", "run", "install", "register"], reads: &["certificates"] },
    Verbs { programs: &["puppet"], within: 1, removes: &[], changes: &["apply", "agent"], reads: &[] },
];

/// Programs that do what an option says; one that ends in `*` stands for all that begin so.
#[rustfmt::skip]
const OPTIONS: &[(&[&str], &[&str], Level)] = &[
    (&["iptables", "ip6tables", "arptables", "ebtables"], &["-F", "-X", "--flush", "--delete-chain"], Level::Removes),
    (&["iptables", "ip6tables", "arptables", "ebtables"], &["-A*", "-I*", "-D*", "-P", "-R", "-N", "-E", "-Z", "--append",
        "--insert", "--delete", "--policy", "--replace", "--new-chain", "--rename-chain", "--zero"], Level::Changes),
    (&["firewall-cmd"], &["--add-*", "--remove-*", "--set-*", "--change-*", "--new-*", "--delete-*", "--reload",
        "--complete-reload", "--runtime-to-permanent", "--panic-on"], Level::Changes),
    (&["date"], &["-s", "--set*"], Level::Changes),
    (&["hwclock"], &["-w", "-s", "--systohc", "--hctosys", "--set"], Level::Changes),
    (&["kafka-topics", "kafka-topics.sh", "kafka-consumer-groups", "kafka-consumer-groups.sh", "kafka-configs",
        "kafka-configs.sh", "kafka-acls", "kafka-acls.sh"], &["--delete", "--remove"], Level::Removes),
    (&["kafka-topics", "kafka-topics.sh", "kafka-consumer-groups", "kafka-consumer-groups.sh", "kafka-configs",
        "kafka-configs.sh", "kafka-acls", "kafka-acls.sh", "kafka-reassign-partitions.sh"],
        &["--alter", "--create", "--execute", "--add"], Level::Changes),
    (&["mdadm"], &["--zero-superblock"], Level::Removes),
    (&["mdadm"], &["--stop", "-S", "--create", "-C", "--add", "-a", "--fail", "-f", "--remove", "-r", "--grow", "-G"],
        Level::Changes),
    (&["fuser"], &["-k*", "--kill"], Level::Changes),
    (&["losetup"], &["-d", "-D", "--detach", "--detach-all"], Level::Changes),
    (&["hdparm"], &["--security-*", "--trim-*"], Level::Removes),
    (&["gpg", "gpg2"], &["--delete-*"], Level::Removes),
    (&["gpg", "gpg2"], &["--import", "--gen-key", "--generate-key", "--full-gen*", "--edit-key", "--recv-*", "--send-*",
        "--receive-*", "--refresh-keys", "--sign-key"], Level::Changes),
    (&["pm2"], &["--kill"], Level::Changes),
    (&["pg_restore"], &["-d", "--dbname*"], Level::Changes),
    (&["terraform", "tofu", "terragrunt"], &["-destroy", "--destroy"], Level::Removes),
    (&["fsck", "e2fsck", "xfs_repair"], &["-y", "-p", "-a", "-f", "-L"], Level::Changes),
];

/// Programs that do nothing else.
const REMOVES: &[&str] = &[
    "shred",
    "wipefs",
    "mkswap",
    "userdel",
    "groupdel",
    "dropdb",
    "dropuser",
    "lvremove",
    "vgremove",
    "pvremove",
    "sgdisk",
    "blkdiscard",
    "ldapdelete",
    "lvreduce",
    "k3s-uninstall.sh",
];
#[rustfmt::skip]
const CHANGES: &[&str] = &[
    "umount", "swapoff", "swapon", "reboot", "shutdown", "poweroff", "halt", "pkill", "killall", "rmmod", "insmod",
    "lvextend", "lvcreate", "lvresize", "lvrename", "lvconvert", "vgcreate", "vgextend", "vgreduce", "pvcreate", "pvmove",
    "resize2fs", "xfs_growfs", "createdb", "createuser", "mongorestore", "mysqlimport", "ldapmodify", "ldapadd",
    "ldapmodrdn", "ldappasswd", "nsupdate", "iptables-restore", "ip6tables-restore", "sendmail", "mail", "mailx", "mutt",
    "telinit", "ansible-pull", "rename", "vacuumdb", "reindexdb", "visudo", "fallocate",
];

/// Options that say that nothing is done.
const TRIES: &[&str] = &[
    "--help",
    "--version",
    "--dry-run",
    "--dryrun",
    "--simulate",
    "--just-print",
    "--no-act",
    "--check",
    "--noop",
    "--what-if",
    "--test",
    "--dry-run=client",
    "--dry-run=server",
];

/// Every program of these tables: of most that are called, they say nothing.
static PROGRAMS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let by_verb = VERBS.iter().flat_map(|table| table.programs);
    let by_option = OPTIONS.iter().flat_map(|(programs, ..)| *programs);
    by_verb.chain(by_option).chain(REMOVES).chain(CHANGES).copied().collect()
});

/// What a program does by its verb, or by an option.
pub(super) fn verb(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    if !PROGRAMS.contains(name) {
        return None;
    }
    if rest.iter().take_while(|word| !word.is("--")).any(|word| word.is_one_of(TRIES)) {
        return None;
    }
    if matches!(name, "apt" | "apt-get") && rest.iter().any(|word| word.is("-s")) {
        return None;
    }
    let always = [(Level::Removes, REMOVES), (Level::Changes, CHANGES)];
    if let Some((level, _)) = always.iter().find(|(_, names)| names.contains(&name)) {
        return Some((*level, format!("`{name}`")));
    }
    by_option(name, rest).or_else(|| mirrored(name, rest)).or_else(|| by_verb(name, rest))
}

fn by_option(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    OPTIONS.iter().filter(|(names, ..)| names.contains(&name)).find_map(|(_, options, level)| {
        let found = rest.iter().find(|word| any(options, word.start()))?;
        Some((*level, format!("`{name} {}`", found.start())))
    })
}

fn by_verb(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    let tables = || VERBS.iter().filter(|table| table.programs.contains(&name));
    tables().next()?;
    let plain = rest.iter().filter(|word| !word.is_option()).filter_map(Word::whole).take(12);
    // `SET` and `set` are one command of Redis.
    let folds = name.ends_with("-cli");
    let plain: Vec<String> = plain.map(|word| if folds { word.to_ascii_lowercase() } else { word }).collect();
    tables().find_map(|table| {
        let looks = |word: &str| any(READS, word) || any(table.reads, word);
        let level = |word: &str| {
            let changes = || any(table.changes, word).then_some(Level::Changes);
            any(table.removes, word).then_some(Level::Removes).or_else(changes)
        };
        let said = plain.iter().take(table.within).find(|word| looks(word) || level(word).is_some())?;
        let level = level(said).filter(|_| !looks(said))?;
        Some((level, format!("`{name} {said}`")))
    })
}

/// Copies between here and a store: what is removed there, and what is written there.
fn mirrored(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    let stores = ["aws", "gsutil", "gcloud", "s3cmd", "rclone", "mc"];
    let plain: Vec<&Word> = rest.iter().filter(|word| !word.is_option()).collect();
    let verb = plain.iter().take(3).position(|word| word.is_one_of(&["sync", "rsync", "cp"]))?;
    if !stores.contains(&name) {
        return None;
    }
    let deletes = ["--delete", "-d", "--delete-removed", "--remove"];
    let sync = !plain[verb].is("cp");
    if sync && (name == "rclone" || rest.iter().any(|word| word.is_one_of(&deletes))) {
        return Some((Level::Removes, format!("`{name} sync --delete`")));
    }
    let to = plain[verb + 1..].get(1)?;
    let there = to.start().contains("://") || (name == "mc" && to.start().contains('/'));
    there.then(|| (Level::Changes, format!("`{name} {}`", plain[verb].start())))
}

fn any(patterns: &[&str], word: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => word.starts_with(start),
        None => word == *pattern,
    })
}
