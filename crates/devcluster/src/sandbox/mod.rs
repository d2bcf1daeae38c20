//! Turns a container into the command line that starts its agent, in a `bubblewrap` sandbox or bare.

mod host;
mod probe;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::agent::services::UPLINK;
use crate::agent::{PATH_IN_SANDBOX, SUBCOMMAND};
use crate::images::Rootfs;

pub(crate) use host::Host;
pub(crate) use probe::check;

/// How containers are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sandbox {
    /// Each container in user, process, mount and network namespaces of its own, made by `bwrap`.
    #[default]
    Bubblewrap,
    /// No isolation at all, a last resort: containers are plain processes of the user who runs the
    /// cluster and see the whole machine. Mount paths at the beginning of command words, arguments,
    /// environment values and exec words are replaced by the volumes' real folders, and `PORT` is a
    /// free port of the machine that stands for the container's.
    None,
}

/// The user and groups that a container's processes have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// A folder or file of the machine that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// Everything about one container's sandbox. Secrets are not in it: they go over the agent's socket.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) agent: &'a Path,
    /// What of the machine it sees.
    pub(crate) rootfs: Rootfs,
    /// Files of its image.
    pub(crate) layers: &'a [Mount],
    pub(crate) host: &'a Host,
    /// Folder with the generated files of `/etc`.
    pub(crate) etc: &'a Path,
    pub(crate) hostname: &'a str,
    pub(crate) identity: &'a Identity,
    pub(crate) mounts: &'a [Mount],
    /// Whether the cluster runs as root, so that the real user can be taken on.
    pub(crate) root: bool,
    /// Whether it has the machine's network. Builds have, to fetch what they need; containers of pods
    /// have none.
    pub(crate) network: bool,
    /// The socket where connections to Services are handed to the node.
    pub(crate) services: Option<&'a Path>,
}

impl Plan<'_> {
    /// Program and arguments that start the agent.
    pub(crate) fn command(&self, sandbox: Sandbox) -> (OsString, Vec<OsString>) {
        match sandbox {
            Sandbox::Bubblewrap => ("bwrap".into(), self.bubblewrap()),
            Sandbox::None => (self.agent.into(), vec![SUBCOMMAND.into(), "init".into()]),
        }
    }

    /// Folders above everything that is put into the root and that is not the machine's anyway.
    fn parents(&self) -> BTreeSet<PathBuf> {
        let targets = self.mounts.iter().map(|mount| mount.target.as_path());
        let layers = self.layers.iter().map(|layer| layer.target.as_path());
        let given = [PATH_IN_SANDBOX, "/etc/passwd", "/var/tmp"].map(Path::new);
        let borrowed: Vec<&Path> = self
            .host
            .folders(self.rootfs)
            .map(|(folder, _)| folder)
            .collect();
        targets
            .chain(layers)
            .chain(given)
            .chain(borrowed.iter().copied())
            .flat_map(|target| target.ancestors().skip(1))
            .filter(|folder| folder.parent().is_some())
            .filter(|folder| {
                !["/proc", "/dev"]
                    .iter()
                    .any(|made| folder.starts_with(made))
            })
            .filter(|folder| !borrowed.iter().any(|top| folder.starts_with(top)))
            .map(Path::to_owned)
            .collect()
    }

    /// Mounts a folder of the machine. Where the image has something below it, the folder is taken apart
    /// as far as that: nothing can be put into one that is mounted whole.
    fn lend(&self, folder: &Path, args: &mut Args) {
        let is_mixed = |at: &Path| self.layers.iter().any(|layer| layer.target.starts_with(at));
        if !is_mixed(folder) {
            return args.triple("--ro-bind", folder, folder);
        }
        args.flags(&["--perms", "0755"]);
        args.pair("--dir", folder);
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        entries.sort();
        for path in entries {
            if self.layers.iter().any(|layer| layer.target == path) {
                continue;
            }
            match path.symlink_metadata().map(|found| found.file_type()) {
                Ok(kind) if kind.is_symlink() => {
                    if let Ok(target) = std::fs::read_link(&path) {
                        args.triple("--symlink", target, &path);
                    }
                }
                Ok(kind) if kind.is_dir() && is_mixed(&path) => self.lend(&path, args),
                Ok(_) => args.triple("--ro-bind", &path, &path),
                Err(_) => {}
            }
        }
    }

    fn bubblewrap(&self) -> Vec<OsString> {
        let mut args = Args::default();
        args.flags(&[
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]);
        if !self.network {
            args.flag("--unshare-net");
        }
        args.flags(&[
            "--as-pid-1",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
        ]);
        if self.root {
            // Root needs no user namespace to make the mounts. The agent takes on the real user as
            // its first act, with the two rights that this needs, and has none left afterwards.
            args.flags(&[
                "--cap-drop",
                "ALL",
                "--cap-add",
                "CAP_SETUID",
                "--cap-add",
                "CAP_SETGID",
            ]);
            if self.identity.uid == 0 {
                for right in ROOT_RIGHTS {
                    args.flags(&["--cap-add", right]);
                }
            }
        } else {
            args.flag("--unshare-user");
            args.pair("--uid", self.identity.uid.to_string());
            args.pair("--gid", self.identity.gid.to_string());
        }
        args.pair("--hostname", self.hostname);

        for folder in self.parents() {
            // Left to itself bubblewrap makes some of them for the owner alone.
            args.flags(&["--perms", "0755"]);
            args.pair("--dir", folder);
        }
        for (folder, place) in self.host.folders(self.rootfs) {
            match place {
                host::Place::Link(target) => args.triple("--symlink", target, folder),
                host::Place::Folder => self.lend(folder, &mut args),
            }
        }
        for file in self.host.etc() {
            args.triple("--ro-bind", file, file);
        }
        for name in ETC {
            args.triple(
                "--ro-bind",
                self.etc.join(name),
                Path::new("/etc").join(name),
            );
        }
        args.pair("--proc", "/proc");
        args.pair("--dev", "/dev");
        for shared in ["/dev/shm", "/tmp", "/var/tmp"] {
            args.flags(&["--perms", "1777"]);
            args.pair("--tmpfs", shared);
        }
        args.triple("--ro-bind", self.agent, PATH_IN_SANDBOX);
        if let Some(socket) = self.services {
            args.triple("--ro-bind", socket, UPLINK);
        }
        for group in [self.layers, self.mounts] {
            // A mount inside another one has to come after it.
            let mut mounts: Vec<&Mount> = group.iter().collect();
            mounts.sort_by_key(|mount| mount.target.components().count());
            for mount in mounts {
                let bind = if mount.read_only {
                    "--ro-bind"
                } else {
                    "--bind"
                };
                args.triple(bind, &mount.source, &mount.target);
            }
        }
        args.flag("--");
        args.flag(PATH_IN_SANDBOX);
        args.flags(&[SUBCOMMAND, "init"]);
        if self.root {
            args.pair("--uid", self.identity.uid.to_string());
            args.pair("--gid", self.identity.gid.to_string());
            for group in &self.identity.groups {
                args.pair("--group", group.to_string());
            }
        }
        args.0
    }
}

/// What root in a container has besides, as container runtimes give it: files of every owner can be read and given
/// back to theirs. Other users lose it with their first act.
const ROOT_RIGHTS: [&str; 4] = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"];

/// Files of `/etc` that are made for each pod.
const ETC: [&str; 6] = [
    "passwd",
    "group",
    "hosts",
    "hostname",
    "resolv.conf",
    "nsswitch.conf",
];

/// Writes them. Each of the users gets a line, as the runtime of OpenShift adds one for an arbitrary user.
pub(crate) fn write_etc(
    folder: &Path,
    hostname: &str,
    ip: &str,
    users: &[Identity],
) -> std::io::Result<()> {
    fs_err::create_dir_all(folder)?;
    let users: BTreeSet<String> = users
        .iter()
        .filter(|user| user.uid != 0)
        .map(|Identity { uid, gid, .. }| {
            format!("{uid}:x:{uid}:{gid}:{uid} user:/:/sbin/nologin\n")
        })
        .collect();
    let users: String = users.into_iter().collect();
    let contents = [
        format!(
            "root:x:0:0:root:/root:/bin/sh\n{users}nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
        ),
        "root:x:0:\nnogroup:x:65534:\n".to_owned(),
        hosts(hostname, ip),
        format!("{hostname}\n"),
        "# there is no name server in this cluster\n".to_owned(),
        "passwd: files\ngroup: files\nhosts: files\n".to_owned(),
    ];
    for (name, content) in ETC.into_iter().zip(contents) {
        let path = folder.join(name);
        fs_err::write(&path, content)?;
        // The container's user is another one.
        fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    }
    Ok(())
}

/// The lines of `/etc/hosts` that every container has.
pub(crate) fn hosts(hostname: &str, ip: &str) -> String {
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{ip}\t{hostname}\n")
}

#[derive(Debug, Default)]
struct Args(Vec<OsString>);

impl Args {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn flags(&mut self, flags: &[&str]) {
        self.0.extend(flags.iter().map(OsString::from));
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    fn triple(&mut self, name: &str, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        self.0
            .extend([name.into(), from.as_ref().into(), to.as_ref().into()]);
    }
}

impl Rootfs {
    /// Top folders of the machine that belong to it.
    fn tops(self) -> &'static [&'static str] {
        match self {
            Self::Host => &[
                "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
            ],
            Self::Libraries => &[
                "/usr/lib",
                "/usr/lib32",
                "/usr/lib64",
                "/lib",
                "/lib32",
                "/lib64",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(root: bool) -> String {
        let mount = |source: &str, target: &str, read_only| Mount {
            source: source.into(),
            target: target.into(),
            read_only,
        };
        let plan = Plan {
            agent: Path::new("/opt/agent"),
            rootfs: Rootfs::Libraries,
            layers: &[],
            host: &Host::of(
                &[("/usr/lib", None), ("/lib", Some("usr/lib"))],
                &["/etc/ld.so.cache"],
            ),
            etc: Path::new("/d/etc"),
            hostname: "db-0",
            identity: &Identity {
                uid: 1_000_660_000,
                gid: 0,
                groups: vec![1_000_660_000],
            },
            mounts: &[
                mount("/v/b", "/data/inner", true),
                mount("/v/a", "/data", false),
            ],
            root,
            network: false,
            services: None,
        };
        let (program, args) = plan.command(Sandbox::Bubblewrap);
        let words = std::iter::once(program)
            .chain(args)
            .map(|w| w.into_string().unwrap());
        words.collect::<Vec<_>>().join(" ").replace(" --", "\n--")
    }

    #[test]
    fn without_root_the_user_is_one_of_a_namespace() {
        insta::assert_snapshot!(line(false), @r"
        bwrap
        --unshare-pid
        --unshare-ipc
        --unshare-uts
        --unshare-cgroup-try
        --unshare-net
        --as-pid-1
        --die-with-parent
        --new-session
        --clearenv
        --unshare-user
        --uid 1000660000
        --gid 0
        --hostname db-0
        --perms 0755
        --dir /data
        --perms 0755
        --dir /etc
        --perms 0755
        --dir /run
        --perms 0755
        --dir /run/devcluster
        --perms 0755
        --dir /usr
        --perms 0755
        --dir /var
        --ro-bind /usr/lib /usr/lib
        --symlink usr/lib /lib
        --ro-bind /etc/ld.so.cache /etc/ld.so.cache
        --ro-bind /d/etc/passwd /etc/passwd
        --ro-bind /d/etc/group /etc/group
        --ro-bind /d/etc/hosts /etc/hosts
        --ro-bind /d/etc/hostname /etc/hostname
        --ro-bind /d/etc/resolv.conf /etc/resolv.conf
        --ro-bind /d/etc/nsswitch.conf /etc/nsswitch.conf
        --proc /proc
        --dev /dev
        --perms 1777
        --tmpfs /dev/shm
        --perms 1777
        --tmpfs /tmp
        --perms 1777
        --tmpfs /var/tmp
        --ro-bind /opt/agent /run/devcluster/agent
        --bind /v/a /data
        --ro-bind /v/b /data/inner
        -- /run/devcluster/agent devcluster-agent init
        ");
    }

    #[test]
    fn root_takes_on_the_real_user() {
        let line = line(true);
        assert!(!line.contains("--unshare-user"));
        assert!(line.contains("--cap-drop ALL"));
        assert!(!line.contains("CAP_DAC_OVERRIDE"), "{line}");
        assert!(
            line.ends_with("init\n--uid 1000660000\n--gid 0\n--group 1000660000"),
            "{line}"
        );
    }
}
