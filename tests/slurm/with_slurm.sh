#!/usr/bin/env bash
# Run a command beside a slurm of one node, this machine, and end it afterwards. Needs root and
# Debian's slurmctld, slurmd and munge.
set -euo pipefail
folder=$(mktemp -d)
host=$(hostname -s)
mkdir "$folder/state" "$folder/spool"
chmod 755 "$folder"
dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
chmod 600 "$folder/munge.key"
cat > "$folder/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$host
SlurmctldPort=17817
SlurmdPort=17818
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=$host CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$folder/slurm.conf MMRAZOR_TAT_SLURM=1
end() {
  scancel --full --user="$(whoami)" || true
  for daemon in slurmd slurmctld munged; do
    [ -f "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" || true
  done
}
trap end EXIT
munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
  --log-file="$folder/munged.log" --pid-file="$folder/munged.pid" --seed-file="$folder/munged.seed"
slurmctld
slurmd
for _ in $(seq 20); do
  sinfo --noheader --format=%t | grep -q idle && break
  sleep 0.5
done
sinfo
"$@"
