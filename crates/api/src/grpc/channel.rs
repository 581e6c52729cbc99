//! A connection on which the daemon asks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::http::uri::PathAndQuery;
use hyper::rt::{Read, Write};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::{ALIVE, LONGEST};

/// Bytes that may be under way on a stream: files come here.
const WINDOW: u32 = 4 << 20;

/// The connection; its clones are the same one.
#[derive(Debug, Clone)]
pub struct Channel(http2::SendRequest<Body>);

type Answer = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

impl tower_service::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        Box::pin(self.0.send_request(request))
    }
}

/// Opens it: the channel, and what has to be awaited for it to work, which is over when the connection is.
///
/// # Errors
/// When the other side does not speak HTTP/2.
pub async fn connect<I>(io: I) -> hyper::Result<(Channel, impl Future<Output = ()> + Send)>
where
    I: Read + Write + Send + Unpin + 'static,
{
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(ALIVE))
        .keep_alive_timeout(ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .handshake(io)
        .await?;
    let end = async move {
        if let Err(error) = connection.await {
            tracing::debug!("a session's connection ended: {error}");
        }
    };
    Ok((Channel(send), end))
}

impl Channel {
    /// One message there, one back.
    ///
    /// # Errors
    /// When the other side says no, or is gone.
    pub async fn unary<Q, A>(&self, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc().await?;
        let request = tonic::Request::new(message);
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.unary(request, PathAndQuery::from_static(path), codec);
        Ok(answer.await?.into_inner())
    }

    /// One message there, some back.
    ///
    /// # Errors
    /// When the other side says no, or is gone.
    pub async fn streaming<Q, A>(
        &self,
        path: &'static str,
        message: Q,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc().await?;
        let request = tonic::Request::new(message);
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.server_streaming(request, PathAndQuery::from_static(path), codec);
        Ok(answer.await?.into_inner())
    }

    /// Messages both ways.
    ///
    /// # Errors
    /// When the other side says no, or is gone.
    pub async fn both<Q, A>(
        &self,
        path: &'static str,
        headers: MetadataMap,
        messages: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + Default + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.grpc().await?;
        let mut request = tonic::Request::new(messages);
        *request.metadata_mut() = headers;
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.streaming(request, PathAndQuery::from_static(path), codec);
        Ok(answer.await?.into_inner())
    }

    async fn grpc(&self) -> Result<Grpc<Self>, Status> {
        let grpc = Grpc::with_origin(self.clone(), Uri::from_static("http://localhost"));
        let mut grpc = grpc
            .max_decoding_message_size(LONGEST)
            .max_encoding_message_size(LONGEST);
        let ready = grpc.ready().await;
        ready.map_err(|_| Status::unavailable("the client's session is over"))?;
        Ok(grpc)
    }
}
