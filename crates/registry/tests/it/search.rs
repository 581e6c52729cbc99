//! Search, by Docker's index and in catalogues.

use registry::{Client, Credentials, Found, Search};
use testkit::registry::{Registry, Reply, Server};

use crate::support::*;

async fn search(client: &Client, term: &str, limit: u32) -> Result<Vec<Found>, registry::Error> {
    let search = Search {
        term: term.into(),
        limit,
    };
    client.search(&search, &Credentials::anonymous()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dockers_search_is_asked_where_there_is_one() {
    let server = Server::start(|_| {
        Reply::new(
            200,
            r#"{"num_results":2,"results":[
            {"name":"nginx","description":"A server","star_count":5,"is_official":true,"is_automated":false,"pull_count":1},
            {"name":"b"}]}"#,
        )
    });
    let found = search(&client(), &format!("{}/nginx web", server.address()), 25)
        .await
        .unwrap();
    assert_eq!(server.lines(), ["GET /v1/search?q=nginx+web&n=25"]);
    assert_eq!(
        (found[0].name.as_str(), found[0].stars, found[0].official),
        ("nginx", 5, true)
    );
    assert_eq!(
        (found[1].name.as_str(), found[1].description.as_str()),
        ("b", "")
    );
    let one = search(&client(), &format!("{}/nginx", server.address()), 1)
        .await
        .unwrap();
    assert_eq!(one.len(), 1);
    // The rules for Docker's registry hold for its search.
    let client = configured(&format!(
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{}\"\n",
        server.address()
    ));
    assert_eq!(search(&client, "nginx", 3).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_registry_is_searched_by_its_catalogue() {
    let Some(real) = Registry::start() else {
        return;
    };
    for name in ["team/web", "team/db", "webmail"] {
        push(&at(real.address(), name), b"layer").await;
    }
    let names = |found: Vec<Found>| found.into_iter().map(|f| f.name).collect::<Vec<_>>();
    let address = real.address();
    let found = search(&client(), &format!("{address}/Web"), 25)
        .await
        .unwrap();
    assert_eq!(
        names(found),
        [format!("{address}/team/web"), format!("{address}/webmail")]
    );
    let found = search(&client(), &format!("{address}/web"), 1)
        .await
        .unwrap();
    assert_eq!(names(found), [format!("{address}/team/web")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_answers_are_checked() {
    for limit in [0, 101] {
        let error = search(&client(), "a", limit).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("limit {limit} is outside the range of [1, 100]")
        );
    }
    let server = Server::start(|_| Reply::new(200, "<html>"));
    let error = search(&client(), &format!("{}/a", server.address()), 5)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("search results that cannot be read"),
        "{error}"
    );
}
