//! The tables of readers, verbs and statements, on lines that people write.

use super::*;

/// What none of these does is reading.
#[rustfmt::skip]
const WRITERS: &[&str] = &[
    "awk '{print > \"f\"}' x", "awk 'BEGIN{system(\"rm -rf /srv/x\")}'", "awk -i inplace '{print}' x",
    "python3 -c \"open('f','w').write('x')\"", "python3 -c \"import pathlib; pathlib.Path('f').write_text('x')\"",
    "python3 -c \"import os; os.system('rm -rf x')\"",
    "python3 -c \"import subprocess; subprocess.run(['rm','-rf','x'])\"",
    "python3 -c \"import requests; requests.post('http://x')\"",
    "python3 -c \"import requests; requests.delete('http://x')\"", "perl -e 'unlink \"f\"'",
    "perl -e 'unlink glob \"*\"'", "perl -e 'open(F,\">f\")'", "perl -e 'system(\"rm -rf x\")'",
    "perl -e '`rm -rf x`'", "ruby -e 'File.write(\"f\",\"x\")'", "ruby -e 'File.delete(\"f\")'",
    "ruby -e 'system \"rm -rf x\"'", "ruby -e 'FileUtils.rm_rf(\"x\")'",
    "node -e 'require(\"fs\").writeFileSync(\"f\",\"x\")'",
    "node -e 'require(\"child_process\").execSync(\"rm -rf x\")'", "node -e 'fs.unlink(\"x\")'",
    "php -r 'unlink(\"f\");'", "php -r 'file_put_contents(\"f\",\"x\");'",
    "python3 <<'E'\nimport os\nos.remove(\"x\")\nE", "python3 - <<'E'\nimport shutil\nshutil.rmtree(\"x\")\nE",
    "kubectl cp a p:/b", "kubectl cp p:/b a", "kubectl label --overwrite node n a=b",
    "kubectl rollout restart deploy/x", "kubectl rollout undo deploy/x", "kubectl exec p -- sh -c \"rm -rf x\"",
    "kubectl exec p -- bash -c 'echo a > /etc/x'", "oc adm drain n", "oc delete project x", "oc new-app x",
    "oc start-build x", "kubectl -n x scale --replicas 0 deploy x", "helm -n x delete y", "helm test x",
    "git commit -m x", "git pull", "git checkout main", "git checkout -b x", "git switch main", "git merge x",
    "git rebase x", "git add .", "git tag v1", "git tag -d v1", "git reset", "git reset --soft HEAD~1", "git stash",
    "git clone http://x/y", "git init", "git apply p", "git cherry-pick x", "git revert x", "git worktree add x",
    "git remote add x y", "git config user.name x", "git submodule update", "git push", "git -C x push origin :y",
    "git gc --prune=now", "git update-ref -d refs/heads/x", "git mv a b", "git am x", "iptables -A INPUT -j DROP",
    "iptables -I INPUT -j DROP", "iptables -D INPUT 1", "iptables -P INPUT DROP", "iptables-restore < f",
    "ip6tables -t nat -A x", "nft add rule x", "nft delete table x", "ufw allow 22", "ufw deny 22",
    "firewall-cmd --add-port=80/tcp", "ip link set eth0 down", "ip addr add 1.2.3.4/24 dev eth0",
    "ip addr del 1.2.3.4/24 dev eth0", "ip route add default via x", "ip route del default", "ifconfig eth0 down",
    "route add x", "tc qdisc add dev eth0 root netem", "modprobe x", "rmmod x", "insmod x",
    "hostnamectl set-hostname x", "timedatectl set-time x", "date -s x", "hwclock --systohc",
    "aws ec2 run-instances x", "aws ec2 create-tags x", "aws ec2 stop-instances x", "aws ec2 terminate-instances x",
    "aws s3 cp a s3://b", "aws s3 mv a s3://b", "aws s3 sync a s3://b", "aws s3 mb s3://b",
    "aws s3api put-object x", "aws s3api delete-object x", "aws rds modify-db-instance x",
    "aws rds reboot-db-instance x", "aws iam attach-role-policy x", "aws iam update-user x",
    "aws lambda invoke f out", "aws lambda update-function-code x", "aws autoscaling set-desired-capacity x",
    "aws ssm send-command x", "aws ssm put-parameter x", "aws secretsmanager rotate-secret x",
    "aws sqs purge-queue x", "aws sqs send-message x", "aws route53 change-resource-record-sets x",
    "aws ecs update-service --desired-count 0", "aws cloudformation deploy x",
    "aws ec2 authorize-security-group-ingress x", "aws ec2 release-address x", "aws ec2 detach-volume x",
    "aws ec2 deregister-image x", "aws kms schedule-key-deletion x", "aws kms disable-key x", "aws sns publish x",
    "aws dynamodb batch-write-item x", "gcloud compute instances create x", "gcloud compute instances stop x",
    "gcloud compute instances start x", "gcloud compute instances reset x", "gcloud sql instances restart x",
    "gcloud sql import x", "gcloud run deploy x", "gcloud projects add-iam-policy-binding x",
    "gcloud container clusters resize x", "gcloud functions deploy x", "gcloud secrets versions add x",
    "gcloud secrets versions destroy 1 --secret x", "gcloud storage rm gs://x", "gcloud storage cp a gs://x",
    "gcloud pubsub topics publish x", "gcloud config set project x", "gcloud compute ssh vm --command \"rm -rf x\"",
    "gcloud compute ssh vm -- rm -rf x", "gcloud app deploy", "gcloud dns record-sets transaction execute",
    "gcloud firestore databases delete x", "gsutil cp a gs://b", "gsutil mv a gs://b",
    "gsutil acl set private gs://b", "gsutil iam ch x gs://b", "gsutil mb gs://b", "gsutil rsync a gs://b",
    "az vm create x", "az vm start x", "az vm stop x", "az vm deallocate -n x", "az vm restart -n x",
    "az group delete -n x", "az webapp restart x", "az keyvault secret set x", "az network nsg rule create x",
    "az role assignment create x", "az aks update x", "az storage blob upload x", "az storage blob delete x",
    "az deployment group create x", "az vm run-command invoke x", "az sql db update x", "bq rm x", "bq mk x",
    "bq query 'DELETE FROM x WHERE true'", "bq load x", "gh pr merge 1", "gh release delete v1",
    "gh api -X DELETE repos/x", "gh api --method POST repos/x", "gh repo delete x", "gh secret set X",
    "doctl compute droplet create x", "doctl compute droplet-action power-off 1", "hcloud server poweroff x",
    "hcloud server delete x", "redis-cli set a b", "redis-cli SET a b", "redis-cli del a", "redis-cli Del a",
    "redis-cli flushall async", "redis-cli -n 2 flushdb", "redis-cli -h h -p 1 expire a 1", "redis-cli hset a b c",
    "redis-cli hdel a b", "redis-cli rename a b", "redis-cli config set a b", "redis-cli shutdown",
    "redis-cli failover", "redis-cli lpush a b", "redis-cli incr a", "redis-cli publish a b",
    "redis-cli zadd a 1 b", "redis-cli client kill x", "valkey-cli set a b", "vault kv put a b=c",
    "vault kv delete a", "vault kv destroy a", "vault kv patch a b=c", "vault write a b=c", "vault delete a",
    "vault lease revoke x", "vault token revoke x", "vault token create", "vault operator seal",
    "vault policy write a b", "vault secrets enable x", "vault secrets disable x", "vault kv metadata delete a",
    "vault auth disable x", "consul kv put a b", "consul kv delete a", "consul leave", "etcdctl put a b",
    "etcdctl del a", "nomad job stop x", "nomad job run x", "psql -c 'CREATE TABLE x (a int)'",
    "psql -c 'create index i on x(a)'", "psql -c 'GRANT ALL ON x TO y'", "psql -c 'REVOKE ALL ON x FROM y'",
    "psql -c 'TRUNCATE x'", "psql -c 'ALTER SYSTEM SET x = y'", "psql -c 'ALTER USER x PASSWORD y'",
    "psql -c 'CREATE ROLE x'", "psql -c 'VACUUM FULL x'", "psql -c 'REINDEX TABLE x'",
    "psql -c 'COPY x FROM stdin'", "psql -c \"COPY x TO PROGRAM 'rm -rf y'\"",
    "psql -c \"SELECT pg_terminate_backend(1)\"", "psql -c \"select setval('s', 1)\"",
    "psql -c 'UPDATE x AS y SET a=1'", "psql -c 'update only x set a=1'", "psql -c 'MERGE INTO x USING y'",
    "psql -c 'DROP EXTENSION x'", "psql -c 'drop materialized view x'", "psql -c 'DROP SEQUENCE x'",
    "psql -c 'DROP TYPE x'", "psql -c 'drop policy p on x'", "psql -c 'DROP OWNED BY x'",
    "psql -c 'DROP PUBLICATION x'", "psql -c 'drop unlogged table x'", "psql -c 'delete  from  x'",
    "psql -c \"INSERT IGNORE INTO x VALUES (1)\"", "mysql -e 'SET GLOBAL x=1'", "mysql -e 'FLUSH PRIVILEGES'",
    "mysql -e 'RENAME TABLE a TO b'", "mysql -e 'LOAD DATA INFILE x INTO TABLE y'",
    "mysql -e 'DELETE t FROM t JOIN u'", "pg_restore -d x f", "pg_ctl stop", "createdb x", "createuser x",
    "reindexdb x", "vacuumdb --full x", "mongosh --eval 'db.x.insertOne({})'",
    "mongosh --eval 'db.x.updateMany({},{})'", "mongosh --eval 'db.x.remove({})'",
    "mongosh --eval 'db.dropDatabase()'", "mongosh --eval 'db.x.findOneAndDelete({})'", "mongorestore x",
    "sqlite3 f 'update x set a=1'", "sqlite3 f 'create table x(a)'", "curl --request=PUT http://x",
    "curl -T f http://x", "curl -XPOST http://x", "curl -d@f http://x", "curl --data-binary @f http://x",
    "curl -sSfd a http://x", "http DELETE http://x", "http POST http://x a=b", "wget --method=DELETE http://x",
    "wget --post-data=x http://x", "ansible all -m shell -a 'rm -rf x'", "ansible-playbook x.yml",
    "salt '*' cmd.run 'rm -rf x'", "puppet apply x", "terraform import a b", "terraform state rm x",
    "terraform taint x", "terraform workspace delete x", "pulumi up", "docker exec c sh -c 'rm -rf x'",
    "docker run -v /:/h x rm -rf /h", "docker cp a c:/b", "docker start c", "docker build .", "docker tag a b",
    "docker load -i x", "docker network create x", "docker compose down -v", "docker compose stop",
    "docker compose up -d", "docker service update x", "docker swarm leave", "docker stack rm x",
    "docker container prune -f", "podman pod rm x", "systemctl daemon-reload", "systemctl reload x",
    "systemctl --user restart x", "systemctl edit x", "systemctl set-property x", "systemctl isolate x",
    "systemctl reset-failed", "systemctl reboot", "service nginx reload", "service nginx restart",
    "supervisorctl restart x", "supervisorctl stop all", "pm2 delete all", "initctl stop x", "rc-service x stop",
    "nginx -s reload", "apachectl graceful", "loginctl terminate-user x", "swapon x", "mdadm --stop /dev/md0",
    "lvextend x", "lvcreate x", "lvresize x", "resize2fs x", "fsck -y x", "zfs set a=b c", "zfs create x",
    "zfs snapshot x@y", "zpool scrub x", "rabbitmqctl stop_app", "rabbitmqctl set_policy x",
    "kafka-topics --alter --topic x", "kafka-topics.sh --create --topic x",
    "kafka-consumer-groups.sh --reset-offsets --execute", "kafka-configs.sh --alter x", "restic backup x",
    "borg create x", "rclone copy a b:", "rclone delete b:", "rclone move a b:", "rclone purge b:", "mc cp a b/c",
    "mc rb b", "s3cmd put a s3://b", "s3cmd sync a s3://b --delete-removed", "npm publish", "cargo publish",
    "pip install x", "gem install x", "snap refresh", "mail -s x y@z < f", "sendmail x < f", "mutt -s x y",
    "ssh h 'echo x > /etc/y'", "ssh h systemctl restart x", "ssh h \"rm -rf $x\"", "ssh -t h sudo reboot",
    "xargs sh -c 'rm -rf \"$1\"' _", "find . -exec sh -c 'rm -rf \"$1\"' _ {} \\;",
    "find . -exec bash -c 'echo \"$1\" > y' _ {} \\;", "env -S 'rm -rf x'", "env -S \"bash -c 'rm -rf x'\"",
    "env bash -c 'rm -rf x'", "su -c 'rm -rf x'", "su - x -c 'rm -rf x'", "su x --command='rm -rf y'",
    "runuser -u x -- rm -rf y", "sudo -i rm -rf x", "sudo -s rm -rf x", "sudo -u x bash -c 'rm -rf y'",
    "docker exec -it c sh -c 'rm -rf x'", "docker exec c bash -lc 'rm -rf x'",
    "kubectl exec -it p -- sh -c 'rm -rf x'", "kubectl exec p -c c -- sh -c 'rm -rf x'",
    "kubectl exec deploy/x -- psql -c 'DROP TABLE x'", "kubectl run x --rm -it --image=y -- rm -rf z",
    "nsenter -t 1 -m -u rm -rf x", "chroot /mnt rm -rf x", "chroot --userspec=a /mnt rm -rf x",
    "unshare -r rm -rf x", "setpriv --reuid 1 rm -rf x", "runcon x rm -rf y", "cpulimit -l 1 rm -rf x",
    "parallel rm -rf ::: a b", "parallel 'rm -rf {}' ::: a b", "screen -dm rm -rf x",
    "tmux new-session -d 'rm -rf x'", "script -c 'rm -rf x'", "script -qc 'rm -rf x' /dev/null",
    "flock /tmp/l -c 'rm -rf x'", "flock /tmp/l rm -rf x", "watch 'rm -rf x'", "at now <<< 'rm -rf x'",
    "echo 'rm -rf x' | at now", "time rm -rf x", "\\rm -rf x", "'rm' -rf x", "r\"\"m -rf x", "command rm -rf x",
    "exec rm -rf x", "busybox rm -rf x", "toybox rm -rf x", "nice -n 5 rm -rf x", "nice -5 rm -rf x",
    "ionice -c2 -n7 rm -rf x", "timeout -s KILL 5 rm -rf x", "timeout --signal=KILL 5 rm -rf x",
    "setsid -w rm -rf x", "stdbuf -oL rm -rf x", "xargs -r rm -rf", "xargs -n1 -P4 rm -f",
    "xargs --no-run-if-empty rm", "xargs -I{} rm -rf {}", "xargs -I {} sh -c 'rm -rf {}'",
    "git ls-files | xargs rm", "ls | while read f; do rm -f \"$f\"; done", "for f in *; do unlink \"$f\"; done",
    "rm -f *", "rm *", "rm x*", "rm -- *", "rm -f ./*", "rm \"$f\"", ": > f", "> f", "true > f", "echo > f",
    "cat /dev/null > /var/log/x", "exec > f", "exec 3> f", "{ echo a; } > f", "(echo a) > f", "echo a 1> f",
    "echo a 2> f", "echo a &>> f", "echo a >&f", "printf x | dd of=f", "dd of=/dev/sda if=x",
    "tee < f > /dev/null x", "install -d x", "mkdir x", "ln -sf a b", "cp -r a b", "cp a b", "rename 's/a/b/' *",
    "truncate -s0 f", "fallocate -l 1G f", "chmod 777 f", "setfacl -m u:x:r f", "chattr +i f", "usermod -aG a b",
    "passwd x", "chpasswd < f", "visudo", "crontab f", "crontab -", "crontab -e", "killall x", "pkill x",
    "kill -9 123", "kill 123", "kill -HUP $(pidof x)", "fuser -k 80/tcp", "reboot", "shutdown -r now", "init 0",
    "telinit 6", "systemctl poweroff", "echo b > /proc/sysrq-trigger", "mount -o remount,rw /", "umount /x",
    "losetup -d x", "cryptsetup luksFormat x", "wipefs -a x", "blkdiscard x", "nvme format x",
    "hdparm --security-erase x", "aws s3 rm s3://b --recursive", "rsync -a --delete a b", "rsync a h:b",
    "scp a h:b", "openssl genrsa -out f 2048", "openssl req -x509 -keyout k -out c", "ssh-keygen -t ed25519 -f k",
    "ssh-keygen -R h", "gpg --import x", "gpg --delete-keys x", "certbot renew", "htpasswd -b f u p",
    "ldapdelete x", "ldapmodify -f x", "ldapadd -f x", "nsupdate <<E\nupdate delete x\nE", "rndc reload",
    "firebase deploy", "heroku config:set a=b", "heroku ps:restart", "flyctl deploy", "fly apps destroy x",
    "vercel deploy", "netlify deploy", "eksctl delete cluster x", "eksctl create cluster x",
    "kops delete cluster x", "kubeadm reset", "kubeadm join x", "k3s-uninstall.sh", "argocd app sync x",
    "argocd app delete x", "argocd app set x", "istioctl install", "velero backup create x",
    "velero restore create x", "velero backup delete x", "kustomize build . | kubectl apply -f -",
    "kubectl kustomize . | kubectl delete -f -", "stripe refunds create", "stripe subscriptions cancel x",
    "influx delete x", "curl -X POST http://es/x/_delete_by_query", "bin/rails db:drop", "rake db:drop",
    "rails db:migrate", "alembic upgrade head", "flyway clean", "liquibase dropAll", "nodetool decommission",
    "nodetool repair", "cqlsh -e 'TRUNCATE x'", "sed -i s/a/b/ /etc/x /tmp/y", "docker cp a c:/b",
    "gawk -i inplace '{print}' x", "git -C x commit -m y",
];

/// What only looks, or writes what is nobody's.
#[rustfmt::skip]
const LOOKS: &[&str] = &[
    "w=$(mktemp -d); trap \"rm -rf '$w'\" EXIT", "w=$(mktemp -d); trap \"rm -rf $w\" EXIT",
    "w=$(mktemp -d); trap \"rm -rf '$w/x'\" EXIT; date > \"$w/y\"", "split --help", "tar --version", "gzip --help",
    "touch --help", "w=$(mktemp -d); cd \"$w\"; mkdir a; cd a; date > b", "w=$(mktemp -d); cd -- \"$w\"; date > b",
    "w=$(mktemp -d); cd \"$w\" || exit 1; date > b",
    "w=$(mktemp -d); git clone http://x/y \"$w/y\"; git -C \"$w/y\" checkout v1",
    "cd \"$(mktemp -d)\"; git clone http://x/y; git init", "git log --oneline -5", "git diff main", "git fetch",
    "git branch", "git branch -a", "git branch --show-current", "git tag", "git tag -l 'v*'", "git remote -v",
    "git stash list", "git config user.name", "git config --get user.name", "git rev-parse HEAD",
    "git worktree list", "git submodule status", "git push --dry-run", "git apply --check p", "git show-ref",
    "git archive HEAD", "git ls-remote origin", "git describe --tags", "git blame x", "kubectl cp p:/a /tmp/b",
    "kubectl config view", "kubectl config current-context", "kubectl get pods -o wide",
    "kubectl describe pod create", "kubectl logs x", "kubectl top pod", "kubectl auth can-i delete pods",
    "kubectl rollout status deploy/x", "kubectl diff -f x", "kubectl exec p -- ls", "kubectl api-resources",
    "kubectl wait --for=condition=ready pod/x", "helm list", "helm status x", "helm template x",
    "helm diff upgrade x y", "helm get values x", "oc adm top nodes", "oc whoami", "iptables -L -n -v",
    "iptables -S", "iptables -t nat -L -i eth0", "iptables -nvL INPUT", "ip addr", "ip a", "ip -s link show",
    "ip route get 1.2.3.4", "ip route show default", "ifconfig", "ifconfig eth0", "route -n",
    "tc qdisc show dev eth0", "nft list ruleset", "ufw status verbose", "firewall-cmd --list-all",
    "firewall-cmd --get-active-zones", "hostnamectl", "timedatectl", "timedatectl status", "date -u +%F",
    "date -d yesterday", "date -Is", "hwclock -r", "modprobe -n x", "lsmod", "systemctl status x",
    "systemctl is-active x", "systemctl list-units", "systemctl show x -p y", "systemctl cat x",
    "service nginx status", "supervisorctl status", "nginx -t", "nginx -T", "apachectl configtest",
    "aws ec2 describe-instances --instance-ids i-1", "aws s3 ls s3://b", "aws s3 cp s3://b/x -",
    "aws s3 cp s3://b/x /tmp/x", "aws sts get-caller-identity", "aws logs filter-log-events --log-group-name x",
    "aws dynamodb get-item x", "aws dynamodb query x", "aws ssm get-parameter --name /a/delete",
    "aws ec2 wait instance-running", "aws cloudwatch get-metric-statistics", "aws rds describe-db-instances",
    "aws eks list-clusters", "gcloud compute instances list --filter=\"name=x\"",
    "gcloud compute instances describe start", "gcloud logging read \"severity>=ERROR\" --limit 5",
    "gcloud config get-value project", "gcloud auth print-access-token", "gcloud projects list",
    "gcloud sql operations list", "gcloud container clusters describe x", "gsutil ls gs://b", "gsutil cat gs://b/x",
    "gsutil cp gs://b/x /tmp/x", "gsutil stat gs://b/x", "gsutil du -s gs://b", "az vm list -o table",
    "az account show", "az group show -n delete", "az keyvault secret show -n x",
    "az aks get-credentials -n x --file /tmp/k", "bq query 'select 1'", "bq ls", "gh pr view 1", "gh pr list",
    "gh run list", "gh api repos/x/y", "gh release view v1", "doctl compute droplet list", "hcloud server list",
    "redis-cli get a", "redis-cli GET set", "redis-cli -h h -p 6379 info", "redis-cli ping",
    "redis-cli config get maxmemory", "redis-cli --scan --pattern 'x*'", "redis-cli client list",
    "redis-cli hgetall x", "redis-cli ttl x", "vault kv get a", "vault status", "vault token lookup",
    "vault read a", "vault kv list a", "consul kv get a", "consul members", "etcdctl get a",
    "etcdctl endpoint health", "nomad job status", "psql -c 'select * from created_tables'",
    "psql -c \"select count(*) from t where action = 'update'\"", "psql -c 'select 1; -- grants'",
    "psql -Atc \"select now()\"", "psql -c \"select granted to_user from x\"", "psql -c \"explain select 1\"",
    "psql -c \"show all\"", "mysql -e 'show processlist'", "mysql -e 'SHOW CREATE TABLE x'",
    "mysql -e 'show grants for x'", "mongosh --eval 'db.x.find({})'", "mongosh --eval 'db.x.countDocuments()'",
    "sqlite3 f 'select updated from x'", "curl -sSf http://x", "curl -sSfL http://x", "curl -sSI http://x",
    "curl -fsSu a:b http://x", "curl -sH 'A: d' http://x", "http http://x", "http GET http://x q==1",
    "terraform plan", "terraform plan -out /tmp/p", "terraform show", "terraform state list",
    "terraform output -json", "terraform validate", "pulumi preview", "docker inspect start", "docker logs x",
    "docker exec start ls", "docker run --rm x create", "docker images", "docker compose ps", "docker compose logs",
    "docker stats --no-stream", "docker volume ls", "docker system df", "zfs list", "zpool status",
    "restic snapshots", "restic check", "borg list x", "rclone ls a:", "rclone check a b:", "rclone size a:",
    "rabbitmqctl list_queues", "rabbitmqctl status", "kafka-topics --list", "kafka-topics.sh --describe --topic x",
    "kafka-consumer-groups.sh --describe --group x", "apt list --installed", "apt-cache search x", "pip show x",
    "npm ls", "npm view x", "cargo search x", "gem list", "snap list", "mdadm --detail /dev/md0",
    "mdadm -D /dev/md0", "losetup -a", "losetup -l", "fuser 80/tcp", "fuser -v 80/tcp", "hdparm -I /dev/sda",
    "gpg --list-keys", "gpg --verify x", "gpg -d x", "pg_restore -l f", "pg_dump -s x", "pg_ctl status",
    "fsck -n x", "openssl x509 -in a -noout -dates", "openssl s_client -connect h:443", "openssl rand -hex 8",
    "openssl req -in a -noout -text", "ssh-keygen -lf k", "ssh-keygen -y -f k", "ssh-keygen -F h",
    "certbot certificates", "certbot renew --dry-run", "ansible all -m ping", "ansible-playbook --check x.yml",
    "ansible-playbook --list-tasks x.yml", "ansible all -a uptime", "ssh h uptime", "ssh h 'systemctl status x'",
    "ssh h \"kubectl get pods\"", "awk '{print $1}' x", "awk '$1 > 5 {print $2}' x",
    "awk '{ if ($1 > 5) print $2 }' x", "awk '{print ($1 > 5)}' x", "awk '{print $1 \" > \" $2}' x",
    "awk '{printf \"%s > %s\\n\", $1, $2}' x", "awk '{print > \"/dev/stderr\"}' x", "awk '{print > \"/tmp/x\"}' x",
    "awk '/a|b/ {print $1 \"|\" $2}' x", "awk -F'|' '{print $2}' x",
    "awk 'BEGIN { \"date\" | getline d; print d }'", "awk '{print $1 | \"sort -n\"}' x", "sed -n 's/a/b/w' x",
    "sed -n '/a/,/b/p' x", "python3 -c 'print(1)'",
    "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"a\"])'", "python3 -c \"print(open('f').read())\"",
    "python3 -c \"import subprocess; print(subprocess.check_output(['kubectl','get','pods']))\"",
    "python3 -c \"import os; print(os.popen('uptime').read())\"",
    "python3 -c \"d={}; d.update(a=1); print(d.pop('a'))\"",
    "python3 -c \"import requests; print(requests.get('http://x').text)\"", "python3 -m json.tool x",
    "python3 report.py", "python3 - <<'E'\nimport sys\nprint(sys.version)\nE", "perl -ne 'print if /unlinked/' x",
    "perl -ne 'print if $x > 5' x", "perl -e 'open(F,\"<f\"); print <F>'", "perl -lane 'print $F[0]' x",
    "ruby -e 'puts File.read(\"x\")'", "node -e 'console.log(require(\"fs\").readFileSync(\"x\",\"utf8\"))'",
    "node -p 'new Map([[1,2]]).delete(1)'", "node -e 'const a=[1,2].map(x=>x>1||0)'",
    "php -r 'echo file_get_contents(\"x\");'", "jq '.a | .b' x", "jq 'del(.a)' x", "find . -name delete",
    "find . -exec grep x {} +", "find . -exec sh -c 'wc -l \"$1\"' _ {} \\;", "xargs -n1 basename",
    "bash -c 'echo a'", "env A=b ls", "timeout 5 ls", "nice ls", "runuser -u x -- ls", "su - x -c 'ls'",
    "watch -n 1 ls", "flock /tmp/l ls", "logger x", "make -n", "cat /etc/passwd",
    "grep -c 'CREATE TABLE x' dump.sql", "grep 'redis-cli set' x", "echo 'git push'", "echo 'kubectl delete pod'",
    "printf '%s\\n' 'GRANT ALL ON x TO y'", "history", "ps aux", "df -h", "du -sh /var", "lsof -i :80", "ss -tlnp",
    "netstat -an", "journalctl -u x --since today", "dmesg | tail", "uptime", "free -m", "top -bn1", "who", "last",
    "id x", "getent passwd x", "dig x", "nslookup x", "ping -c1 h", "traceroute h", "nc -z h 80",
    "tail -n 5 /var/log/x", "wc -l x", "sort x | uniq -c", "cut -d: -f1 x", "tr a b", "head -1 x", "diff a b",
    "cmp a b", "md5sum x", "sha256sum -c x", "stat x", "file x", "strings x", "base64 x", "xxd x", "od x",
    "test -f x", "[ -f x ]", "command -v x", "nproc", "uname -a", "lscpu", "lsblk", "blkid", "lvs", "vgs", "pvs",
    "velero backup get", "velero backup describe x", "argocd app get x", "argocd app diff x", "argocd app list",
    "istioctl proxy-status", "eksctl get cluster", "kubeadm config view", "kubeadm token list", "flux get all",
    "firebase functions:log", "heroku logs", "heroku ps", "fly status", "rails db:migrate:status",
    "alembic current", "flyway info", "nodetool status", "nodetool info", "stripe customers list",
    "cqlsh -e 'describe tables'", "vboxmanage list vms", "virsh dominfo x", "btrfs subvolume list /",
    "btrfs filesystem df /", "cryptsetup status x", "cryptsetup luksDump x", "mysqladmin status",
    "mysqladmin processlist", "influx query 'from(bucket:\"x\")'", "nmcli device status", "loginctl list-sessions",
    "sed -Ei 's/a/b/' /tmp/y", "sed -i -e s/a/b/ -e s/c/d/ /tmp/y", "docker cp c:/b /tmp/x",
    "cd \"$(mktemp -d)\"; out=a.csv; date > \"$out\"",
];

/// Where a value, written `X`, would be code, or the name of it.
#[rustfmt::skip]
const CODE: &[&str] = &[
    "awk --include=X a", "awk -v a=X 'BEGIN{system(a)}'", "ansible all -m shell -a X",
    "ansible-playbook -e a=X a.yml", "apt-get -o APT::Update::Pre-Invoke::=X update", "autossh h X",
    "bash --rcfile X -i", "bq query X", "bun run X", "clickhouse-client --query=X",
    "clickhouse-client -q \"select X\"", "cqlsh -e X", "curl -F a=X h", "dc -e X", "deno eval X", "duckdb -c X",
    "duckdb f X", "echo X | at now", "echo X | dc", "echo X | ed f", "echo X | lua -",
    "echo X | make -f -", "echo X | sed -f /dev/stdin", "echo X | sftp h", "echo X | tclsh",
    "echo X | xargs env", "echo X | xargs find .", "echo X | xargs -n1 timeout 5", "emacs --eval X",
    "env BASH_ENV=X bash -c true", "env LD_PRELOAD=X true", "env PATH=X true",
    "erl -eval X", "expect -c X", "find -- X", "gcloud compute ssh vm --command=X", "gdb -ex X",
    "git --exec-path=X log", "git -c X log", "git -c core.pager=X log", "git archive --exec=X", "gsed X a",
    "helm upgrade a b --post-renderer X", "java -jar X", "jq -f X f", "julia -e X", "less a | perl -ne X",
    "lua -e X", "lua5.3 -e X", "mongosh X", "mysql X", "nawk X", "nc -e X h 80", "node -pe X", "node -r X a.js",
    "npx X", "osascript -e X", "pdsh -w h X", "perl -MX -e 1", "perl -ne 'print' X", "perl -ne 'print' ./X",
    "perl -e 'while (<>) { print }' X", "perl -pi -e s/a/b/ X", "php -d X a.php", "psql -f X", "psql X",
    "pwsh -Command X", "python2 -c X", "python3 -Ic X", "python3 -m X", "python3.11 -c X", "pypy3 -c X", "R -e X",
    "rg --pre=X a", "rpm --eval X", "rsync --rsh=X a b", "rsync -e \"ssh -p X\" a b", "Rscript X", "ruby -pe X",
    "ruby -rX -e 1", "runuser -u a -- X", "screen -dm X", "sed --file=X a", "sort --compress-program=X a", "sort X",
    "split --filter=X a", "sqlcmd -Q X", "sqlite3 -cmd X f", "ssh -F X -- h ls", "ssh -I X -- h ls",
    "ssh -o X -- h ls", "ssh -oX h ls", "ssh -o ProxyCommand=X h ls", "sshpass -e ssh h \"ls X\"",
    "socat - TCP:X:80", "strace -o X true", "su --session-command=X", "tar --to-command=X -xf a",
    "tar --use-compress-program=X -cf a b", "tmux send-keys -t a \"X\" C-m", "trino --execute X", "vim -c X f",
    "vim +X f", "wget --use-askpass=X h", "yq e X f", "zip -r a b -TT X",
];

/// Where it stays a value.
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "python3 -m json.tool X", "python3 -Wignore a.py X", "node a.js X", "node -r dotenv a.js X", "lua a.lua X",
    "java -cp a b X", "java -jar a.jar X", "npx tool X", "deno run a.ts X", "ruby -e 'puts ARGV[0]' X",
    "perl -e 'print $ARGV[0]' X", "perl -ne 'print' < ./X", "ssh -o ConnectTimeout=X -- h ls",
    "git -c user.name=X commit -m a", "git switch -c feature/X", "find ./X -name a", "psql -d X -c 'select 1'",
    "psql -h X -U a -f q.sql", "mysql -h X -e 'select 1'", "sort -k X ./a", "sort ./X", "awk -v a=X '{print a}' f",
    "echo X | xargs -0 echo", "echo X | jq .", "echo X | sed s/a/b/", "echo X | sqlcmd -Q 'select 1'", "env A=X ls",
    "curl -F name=aX h", "tar --exclude=X -cf a b", "sh -c 'exec \"$@\"' _ ls X", "bash -c 'echo \"$1\"' _ X",
    "yq e .a X",
];

#[test]
fn rule_6_what_changes_something_is_no_read() {
    assert_eq!(WRITERS.iter().filter(|script| dangers(script).is_empty()).collect::<Vec<_>>(), [&""; 0]);
    let wrong = LOOKS.iter().map(|script| (script, dangers(script))).filter(|(_, found)| !found.is_empty());
    assert_eq!(wrong.collect::<Vec<_>>(), []);
    for (script, level) in [
        ("redis-cli SET a b", Level::Changes),
        ("redis-cli -n 1 DEL a", Level::Removes),
        ("aws ec2 terminate-instances x", Level::Removes),
        ("aws ec2 stop-instances x", Level::Changes),
        ("vault kv destroy a", Level::Removes),
        ("python3 -c \"import subprocess; subprocess.run(['rm', '-rf', 'x'])\"", Level::Removes),
        ("iptables -D INPUT 1", Level::Changes),
        ("git push origin main", Level::Changes),
    ] {
        assert_eq!(dangers(script).iter().map(|(level, _)| *level).max(), Some(level), "{script}");
    }
}

#[test]
fn what_lies_in_a_scratch_folder_is_nobodys() {
    let work = Template::parse("{{ run.work }}").unwrap();
    let own = Scratch::new(std::iter::empty(), Some(&work));
    let found = |script: &str| reading(script, |script| in_script(script, &own)).len();
    for script in [
        "date > x",
        "o=a.csv; date > \"$o\"",
        "cd a; date > x",
        "git init; git commit -m x",
        "split x",
        "touch a; mv a b",
    ] {
        assert_eq!(found(script), 0, "{script}");
    }
    for script in [
        "cd /srv; date > x",
        "cd ..; date > x",
        "o=/srv/a; date > \"$o\"",
        "o=../a; date > \"$o\"",
        "git push",
    ] {
        assert!(found(script) > 0, "{script}");
    }
}

#[test]
fn rule_19_a_value_is_no_code_to_any_known_reader() {
    let with_value = |line: &&&str| lowered(&line.replace('X', "{{ inputs.x }}"));
    assert_eq!(CODE.iter().filter(|line| with_value(line).is_ok()).collect::<Vec<_>>(), [&""; 0]);
    let wrong = VALUES.iter().map(|line| (line, with_value(&line))).filter(|(_, sent)| sent.is_err());
    assert_eq!(wrong.collect::<Vec<_>>(), []);
}

#[test]
fn rule_19_a_value_is_followed_into_the_script_of_a_second_shell() {
    let found = |script: &str| reading(script, |script| carried(script, &["V".to_owned()], PREFIX));
    for script in [
        "bash -c 'eval \"$1\"' _ \"$V\"",
        "sh -c 'sh -c \"$1\"' _ \"$V\"",
        "bash -c 'echo $(( $2 + 1 ))' _ a \"$V\"",
        "bash -c '\"$@\"' _ \"$V\"",
        "bash -c 'bash -c \"eval \\$1\" _ \"$1\"' _ \"$V\"",
        "sudo sh -c 'for f in \"$@\"; do ssh h \"ls $f\"; done' _ a \"$V\"",
        "export V; bash -c 'echo $((V))'",
        "A=$V; eval 'eval \"$A\"'",
        "env A=\"$V\" sh -c 'eval \"$A\"'",
        "trap 'echo $((V))' EXIT",
    ] {
        assert!(!found(script).is_empty(), "{script}");
    }
    for script in [
        "bash -c 'echo \"$1\"' _ \"$V\"",
        "bash -c 'eval \"$1\"; echo \"$2\"' _ ls \"$V\"",
        "sh -c 'cd /srv && exec \"$@\"' _ ls \"$V\"",
        "trap 'echo \"$V\"' EXIT",
    ] {
        assert_eq!(found(script), [], "{script}");
    }
    let words = |line: &[&str]| line.iter().map(|word| Word::literal(word)).collect::<Vec<_>>();
    let third = std::collections::BTreeMap::from([(4, "4".to_owned())]);
    assert_eq!(carried_by(&words(&["sh", "-c", "echo $1", "_", "?"]), &third, &[]), []);
    let found = carried_by(&words(&["sh", "-c", "eval \"$1\"", "_", "?"]), &third, &[]);
    assert_eq!(found.iter().map(|found| found.origin.as_str()).collect::<Vec<_>>(), ["4"]);
}
