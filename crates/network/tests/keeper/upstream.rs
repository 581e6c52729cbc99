//! A server of names, on the host.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, PacketFlag, ResourceRecord};

/// How often a server looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// Everything ending in `.test` has one address, `big.test` a hundred, and nothing else is there.
pub(crate) struct Upstream {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Upstream {
    /// Answers `address` on port 53 of `at`.
    pub(crate) fn start(at: &str, address: Ipv4Addr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let at: SocketAddr = format!("{at}:53").parse().unwrap();
        // In the namespace of the thread that calls.
        let datagrams = UdpSocket::bind(at).unwrap();
        datagrams.set_read_timeout(Some(LOOK)).unwrap();
        let streams = TcpListener::bind(at).unwrap();
        streams.set_nonblocking(true).unwrap();
        let end = Arc::clone(&stop);
        let first = std::thread::spawn(move || {
            let mut room = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                if let Ok((length, from)) = datagrams.recv_from(&mut room) {
                    let answer = answer(&room[..length], address, false);
                    let _ = datagrams.send_to(&answer, from);
                }
            }
        });
        let end = Arc::clone(&stop);
        let second = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                match streams.accept() {
                    Ok((stream, _)) => serve(stream, address),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self {
            stop,
            threads: vec![first, second],
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: std::net::TcpStream, address: Ipv4Addr) {
    let mut length = [0; 2];
    stream.set_nonblocking(false).unwrap();
    stream.read_exact(&mut length).unwrap();
    let mut question = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut question).unwrap();
    let answer = answer(&question, address, true);
    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &answer].concat()).unwrap();
}

fn answer(question: &[u8], address: Ipv4Addr, stream: bool) -> Vec<u8> {
    let mut packet = Packet::parse(question).unwrap().into_reply();
    packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
    let name = packet.questions[0].qname.clone();
    let text = name.to_string().to_ascii_lowercase();
    let is_v4 = u16::from(packet.questions[0].qtype) == 1;
    let count = match text.as_str() {
        "big.test" if !stream => {
            packet.set_flags(PacketFlag::TRUNCATION);
            0
        }
        "big.test" => 100,
        _ if !is_v4 => 0,
        text if text.ends_with(".test") => 1,
        _ => {
            *packet.rcode_mut() = simple_dns::RCODE::NameError;
            0
        }
    };
    for _ in 0..count {
        let data = RData::A(A {
            address: address.to_bits(),
        });
        let record = ResourceRecord::new(name.clone(), CLASS::IN, 60, data);
        packet.answers.push(record);
    }
    packet.build_bytes_vec_compressed().unwrap()
}
