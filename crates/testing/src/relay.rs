//! A connection that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Passes connections on to another address, until it is cut. It ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    /// Cut when this many bytes have been sent, and whether for good.
    due: Option<(u64, bool)>,
    /// Nothing passes when this many bytes have been sent.
    hold: Option<u64>,
    sent: u64,
    ended: bool,
    streams: Vec<TcpStream>,
}

impl State {
    fn end(&mut self, for_good: bool) {
        self.cut = for_good;
        self.hold = None;
        for stream in self.streams.drain(..) {
            // The other side may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn is_held(&self) -> bool {
        self.hold.is_some_and(|at| self.sent >= at)
    }

    /// Takes note of what goes to the other address.
    fn count(&mut self, bytes: u64) {
        self.sent += bytes;
        if let Some((at, for_good)) = self.due
            && self.sent >= at
        {
            self.due = None;
            self.end(for_good);
        }
    }
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
        lock(&self.state).end(true);
    }

    /// Ends all connections once so many more bytes have been sent to the other address, and refuses others if it is
    /// for good.
    pub fn cut_after(&self, bytes: u64, for_good: bool) {
        let mut state = lock(&self.state);
        state.due = Some((state.sent + bytes, for_good));
    }

    /// Lets nothing pass any more, either way, once so many more bytes have been sent to the other address. All
    /// connections stay: what they carry cannot come to its end while one looks.
    pub fn hold_after(&self, bytes: u64) {
        let mut state = lock(&self.state);
        state.hold = Some(state.sent + bytes);
    }

    /// Whether it has come to that.
    pub fn is_held(&self) -> bool {
        lock(&self.state).is_held()
    }

    /// Lets everything pass again. A cut does so, too.
    pub fn release(&self) {
        lock(&self.state).hold = None;
    }

    /// Bytes that were sent to the other address.
    pub fn sent(&self) -> u64 {
        lock(&self.state).sent
    }

    /// Takes connections again.
    pub fn mend(&self) {
        lock(&self.state).cut = false;
    }
}

/// Joins a connection with one of its own to the other address.
fn pass(near: TcpStream, to: &str, state: &Arc<Mutex<State>>) -> std::io::Result<()> {
    let far = TcpStream::connect(to)?;
    {
        // Known to whoever cuts before anything passes: a cut misses no connection that is on its way in.
        let mut state = lock(state);
        if state.cut {
            return near.shutdown(Shutdown::Both);
        }
        let both = [near.try_clone()?, far.try_clone()?];
        state.streams.extend(both);
    }
    for (from, into, counted) in [(&near, &far, true), (&far, &near, false)] {
        let state = Arc::clone(state);
        let (mut from, mut into) = (from.try_clone()?, into.try_clone()?);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                while lock(&state).is_held() {
                    std::thread::sleep(Duration::from_millis(10));
                }
                if into.write_all(&buffer[..count]).is_err() {
                    break;
                }
                if counted {
                    lock(&state).count(count as u64);
                }
            }
            let _ = into.shutdown(Shutdown::Write);
        });
    }
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
