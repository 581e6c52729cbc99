//! Answers: each method of a service is a function of its message.

use std::convert::Infallible;
use std::future::Future;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::{ALIVE, LONGEST};

/// A call before its message has been read.
pub type Request = hyper::Request<Incoming>;
/// An answer of any kind.
pub type Response = hyper::Response<Body>;

/// What is told at once about a stream's size.
const WINDOW: u32 = 1 << 20;

/// Serves one connection until its client leaves.
pub async fn serve<I, F, A>(io: I, answer: F)
where
    I: Read + Write + Send + Unpin + 'static,
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(ALIVE))
        .keep_alive_timeout(ALIVE)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .serve_connection(io, service);
    if let Err(error) = connection.await {
        tracing::debug!("a gRPC connection ended: {error}");
    }
}

/// One message in, one out.
pub async fn unary<Q, A, F>(
    request: Request,
    answer: impl FnMut(tonic::Request<Q>) -> F + Send,
) -> Response
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
    F: Future<Output = Result<A, Status>> + Send,
{
    let mut answer = answer;
    let one = Function(move |request| {
        let answer = answer(request);
        async move { answer.await.map(tonic::Response::new) }
    });
    grpc::<A, Q>().unary(one, request).await
}

/// One message in, some out.
pub async fn streaming<Q, A, S, F>(
    request: Request,
    answer: impl FnMut(tonic::Request<Q>) -> F + Send,
) -> Response
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
    F: Future<Output = Result<S, Status>> + Send,
{
    let mut answer = answer;
    let one = Function(move |request| {
        let answer = answer(request);
        async move { answer.await.map(tonic::Response::new) }
    });
    grpc::<A, Q>().server_streaming(one, request).await
}

/// Messages both ways.
pub async fn both<Q, A, S, F>(
    request: Request,
    answer: impl FnMut(tonic::Request<Streaming<Q>>) -> F + Send,
) -> Response
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
    F: Future<Output = Result<S, Status>> + Send,
{
    let mut answer = answer;
    let one = Function(move |request| {
        let answer = answer(request);
        async move { answer.await.map(tonic::Response::new) }
    });
    grpc::<A, Q>().streaming(one, request).await
}

/// Nobody here has such a method.
pub fn unknown(path: &str) -> Response {
    Status::unimplemented(format!("{path} is not supported by this version of Brig")).into_http()
}

fn grpc<A, Q>() -> Grpc<ProstCodec<A, Q>>
where
    A: Message + Default + Send + 'static,
    Q: Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default())
        .max_decoding_message_size(LONGEST)
        .max_encoding_message_size(LONGEST)
}

/// A function as a service.
struct Function<F>(F);

impl<F, Q, A, Fut> tower_service::Service<tonic::Request<Q>> for Function<F>
where
    F: FnMut(tonic::Request<Q>) -> Fut,
    Fut: Future<Output = Result<tonic::Response<A>, Status>>,
{
    type Response = tonic::Response<A>;
    type Error = Status;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Q>) -> Fut {
        (self.0)(request)
    }
}
