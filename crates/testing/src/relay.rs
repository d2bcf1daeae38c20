//! A connection that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Passes connections on to another address, until it is cut. It ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    ended: bool,
    streams: Vec<TcpStream>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Listens on a port of its own; `to` is `host:port`.
    pub fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has one");
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, to) = (Arc::clone(&state), to.to_owned());
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if lock(&shared).ended {
                    break;
                }
                if let Ok(near) = near {
                    // Whatever fails here, the one who asked sees a connection that ends.
                    let _ = pass(near, &to, &shared);
                }
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections in the middle of whatever they carry, and refuses others.
    pub fn cut(&self) {
        let mut state = lock(&self.state);
        state.cut = true;
        for stream in state.streams.drain(..) {
            // The other side may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub fn mend(&self) {
        lock(&self.state).cut = false;
    }
}

/// Joins a connection with one of its own to the other address.
fn pass(near: TcpStream, to: &str, state: &Mutex<State>) -> std::io::Result<()> {
    if lock(state).cut {
        return near.shutdown(Shutdown::Both);
    }
    let far = TcpStream::connect(to)?;
    for (from, into) in [(&near, &far), (&far, &near)] {
        let (mut from, mut into) = (from.try_clone()?, into.try_clone()?);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if into.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = into.shutdown(Shutdown::Write);
        });
    }
    lock(state).streams.extend([near, far]);
    Ok(())
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        lock(&self.state).ended = true;
        // Wakes the one who listens.
        let _ = TcpStream::connect(self.address);
    }
}
