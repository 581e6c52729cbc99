//! Connections to servers, made when they are needed and anew when they have broken.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio_rustls::client::TlsStream;

use super::tls::Tls;

/// EPROTOTYPE of connect(2).
const PROTOTYPE: i32 = 91;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(String),
    Tls(String),
    Udp(String),
    /// A stream, or datagrams where it takes no streams.
    Unix(String),
    Datagrams(String),
}

impl Address {
    /// `scheme://rest`, with a port of its own where none is said.
    pub(super) fn parse(text: &str, port: u16) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let after = rest.rsplit_once(':').map(|(_, after)| after);
        let has_port = after.is_some_and(|after| !after.contains(']'));
        let host = match has_port {
            true => rest.to_owned(),
            false => format!("{rest}:{port}"),
        };
        match scheme {
            "udp" => Self::Udp(host),
            "tcp+tls" => Self::Tls(host),
            "unix" => Self::Unix(rest.to_owned()),
            "unixgram" => Self::Datagrams(rest.to_owned()),
            _ => Self::Tcp(host),
        }
    }
}

/// A connection, or none yet.
#[derive(Debug)]
pub(super) struct Wire {
    address: Address,
    tls: Tls,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Udp(UdpSocket),
    Unix(UnixStream),
    Datagrams(UnixDatagram),
}

impl Wire {
    pub(super) fn new(address: Address, tls: Tls) -> Self {
        Self {
            address,
            tls,
            open: None,
        }
    }

    /// Sends all of it; what fails has the connection made anew next time.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => connect(&self.address, &self.tls).await?,
        };
        match &mut open {
            Open::Tcp(stream) => {
                still_open(stream)?;
                stream.write_all(bytes).await?;
            }
            Open::Tls(stream) => {
                still_encrypted(stream).await?;
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
            Open::Unix(stream) => stream.write_all(bytes).await?,
            // Nobody may listen: datagrams are sent all the same.
            Open::Udp(socket) => match socket.send(bytes).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                sent => drop(sent?),
            },
            Open::Datagrams(socket) => drop(socket.send(bytes).await?),
        }
        self.open = Some(open);
        Ok(())
    }

    /// What the server says, until it has said this.
    pub(super) async fn expect(&mut self, word: &[u8]) -> io::Result<()> {
        let mut said = Vec::new();
        let mut buffer = [0; 256];
        while !said.windows(word.len()).any(|part| part == word) {
            let length = match &mut self.open {
                Some(Open::Tcp(stream)) => stream.read(&mut buffer).await?,
                Some(Open::Tls(stream)) => stream.read(&mut buffer).await?,
                Some(Open::Unix(stream)) => stream.read(&mut buffer).await?,
                _ => return Ok(()),
            };
            if length == 0 || said.len() > 64 << 10 {
                self.open = None;
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            said.extend_from_slice(&buffer[..length]);
        }
        Ok(())
    }

    /// Whether bytes follow each other, and do not go one by one.
    pub(super) fn is_stream(&self) -> bool {
        match (&self.open, &self.address) {
            (Some(Open::Tcp(_) | Open::Tls(_) | Open::Unix(_)), _)
            | (None, Address::Tcp(_) | Address::Tls(_)) => true,
            (Some(Open::Udp(_) | Open::Datagrams(_)), _)
            | (None, Address::Unix(_) | Address::Udp(_) | Address::Datagrams(_)) => false,
        }
    }

    /// It is made anew next time.
    pub(super) fn close(&mut self) {
        self.open = None;
    }
}

/// How long a server may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(10);

impl Drop for Wire {
    /// What is encrypted has answers that nobody waits for, tickets for the next time. To close before they
    /// are read is to reset the connection, and what the server has not read of ours is gone then.
    fn drop(&mut self) {
        let (Some(Open::Tls(mut stream)), Ok(runtime)) =
            (self.open.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(tokio::time::timeout(FAREWELL, async move {
            let mut rest = [0; 512];
            stream.shutdown().await?;
            while stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        }));
    }
}

/// A server that has closed its end would still take what is written once.
fn still_open(stream: &TcpStream) -> io::Result<()> {
    match stream.try_read(&mut [0; 512]) {
        Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// The same of one by TLS. What the server says of the encryption is heard by the way.
async fn still_encrypted(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    let mut bytes = [0; 512];
    let looked = poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut bytes);
        Poll::Ready(
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Pending => Ok(true),
                Poll::Ready(read) => read.map(|()| !buffer.filled().is_empty()),
            },
        )
    });
    match looked.await? {
        true => Ok(()),
        false => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

async fn connect(address: &Address, tls: &Tls) -> io::Result<Open> {
    match address {
        Address::Tls(host) => Ok(Open::Tls(Box::new(tls.connect(host).await?))),
        Address::Tcp(host) => Ok(Open::Tcp(TcpStream::connect(host).await?)),
        Address::Udp(host) => {
            let to = tokio::net::lookup_host(host).await?.next();
            let to = to.ok_or(io::ErrorKind::NotFound)?;
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(from).await?;
            socket.connect(to).await?;
            Ok(Open::Udp(socket))
        }
        Address::Unix(path) => match UnixStream::connect(path).await {
            // What listens there takes datagrams.
            Err(error) if error.raw_os_error() == Some(PROTOTYPE) => datagrams(path),
            opened => Ok(Open::Unix(opened?)),
        },
        Address::Datagrams(path) => datagrams(path),
    }
}

fn datagrams(path: &str) -> io::Result<Open> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(Open::Datagrams(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parse = |text| Address::parse(text, 514);
        assert_eq!(parse("udp://1.2.3.4"), Address::Udp("1.2.3.4:514".into()));
        assert_eq!(parse("tcp://[::1]:5"), Address::Tcp("[::1]:5".into()));
        assert_eq!(parse("tcp://[::1]"), Address::Tcp("[::1]:514".into()));
        assert_eq!(parse("h:5"), Address::Tcp("h:5".into()));
        assert_eq!(parse("tcp+tls://h"), Address::Tls("h:514".into()));
        assert_eq!(parse("unix:///a"), Address::Unix("/a".into()));
        assert_eq!(parse("unixgram:///a"), Address::Datagrams("/a".into()));
    }
}
