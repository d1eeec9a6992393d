//! How many may be at the door: connections in all and from one address, counted before anything is read from them.

use std::collections::HashMap;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::serve::network::host;

/// Those who are at the door.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    at: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    most_each: usize,
}

impl Crowd {
    pub(super) fn new(most: usize, most_each: usize) -> Crowd {
        Crowd {
            at: Arc::default(),
            most,
            most_each,
        }
    }

    /// A place at the door, where there is one.
    fn place(&self, address: IpAddr) -> Option<Place> {
        let mut at = self.at.lock().ok()?;
        let own = at.get(&address).copied().unwrap_or(0);
        if own >= self.most_each || at.values().sum::<usize>() >= self.most {
            return None;
        }
        at.insert(address, own + 1);
        let crowd = self.clone();
        Some(Place { crowd, address })
    }
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
struct Place {
    crowd: Crowd,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Ok(mut at) = self.crowd.at.lock() else { return };
        if let Some(own) = at.get_mut(&self.address) {
            *own -= 1;
        }
        at.retain(|_, own| *own > 0);
    }
}

impl<S> Accept<TcpStream, S> for Crowd {
    type Stream = Placed;
    type Service = S;
    type Future = Ready<io::Result<(Placed, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let address = stream.peer_addr().map(|address| host(address.ip().to_canonical()));
        ready(address.and_then(|address| match self.place(address) {
            // a connection without a place is closed before it costs anything
            None => Err(io::ErrorKind::ConnectionRefused.into()),
            Some(place) => Ok((Placed::new(stream, place), service)),
        }))
    }
}

/// Time after which a reader that takes no byte has gone.
const STUCK: Duration = Duration::from_secs(60);

/// A connection with its place.
#[derive(Debug)]
pub(super) struct Placed {
    stream: TcpStream,
    _place: Place,
    /// The moment at which a write that waits is given up.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Placed {
    fn new(stream: TcpStream, place: Place) -> Placed {
        Placed {
            stream,
            _place: place,
            stuck: None,
        }
    }

    /// What became of a write, unless the reader has gone.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(STUCK)));
        stuck
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Placed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, bytes)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(written, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let crowd = Crowd::new(5, 3);
        let [one, two] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        let mut own: Vec<_> = (0..4).map(|_| crowd.place(one)).collect();
        assert_eq!(own.iter().flatten().count(), 3);
        let others: Vec<_> = (0..3).map(|_| crowd.place(two)).collect();
        assert_eq!(others.iter().flatten().count(), 2);
        own.remove(0);
        assert!(crowd.place(two).is_some() && crowd.place(one).is_some());
        drop((own, others));
        assert!(crowd.at.lock().expect("places").is_empty());
    }
}
