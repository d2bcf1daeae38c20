//! Services of the cluster as a container reaches them: each has an address of the loopback network,
//! where connections are taken and handed on to the node.

use std::collections::BTreeSet;
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::wire::{self, Frame, Kind};

/// Where the node listens inside a sandbox.
pub(crate) const UPLINK: &str = "/run/devcluster/services";

/// There may be a thread for each port of each Service, and none of them does much.
const STACK: usize = 128 << 10;

/// The addresses where a container takes connections for Services.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services {
    taken: Arc<Mutex<BTreeSet<SocketAddrV4>>>,
}

impl Services {
    /// Takes connections at these addresses, too. One where that is impossible, because the application
    /// listens on this port everywhere, say, is left out.
    pub(crate) fn offer(&self, addresses: &[SocketAddrV4]) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            if taken.contains(address) {
                continue;
            }
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let address = *address;
            let accepting = thread::Builder::new().stack_size(STACK).spawn(move || {
                for connection in listener.incoming().map_while(Result::ok) {
                    let passing = thread::Builder::new().stack_size(STACK).spawn(move || {
                        // A cut connection is no error worth a log line.
                        let _ = pass_on(&connection, address);
                    });
                    if passing.is_err() {
                        return;
                    }
                }
            });
            if accepting.is_ok() {
                taken.insert(address);
            }
        }
    }
}

fn pass_on(connection: &TcpStream, address: SocketAddrV4) -> std::io::Result<()> {
    let _ = connection.set_nodelay(true);
    let mut uplink = UnixStream::connect(UPLINK)?;
    let Frame { kind, payload } = Frame::json(Kind::Request, &address)?;
    wire::write(&mut uplink, kind, &payload)?;
    let (mut from, mut to) = (uplink.try_clone()?, connection.try_clone()?);
    let back = thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    })?;
    let _ = std::io::copy(&mut &*connection, &mut uplink);
    let _ = uplink.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}
