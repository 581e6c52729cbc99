//! `port`

use api::wire::PortBinding;

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let container = &args.names[0];
    let inspect = context.daemon.client.container_inspect(container, false);
    let ports = inspect.await?.network_settings.ports;
    let Some(asked) = args.names.get(1) else {
        let mut lines: Vec<String> = ports
            .iter()
            .flat_map(|(port, bindings)| {
                let places = bindings.iter().flatten();
                places.map(move |place| format!("{port} -> {}\n", shown(place)))
            })
            .collect();
        lines.sort_by_key(|line| natural(line));
        print::out(&lines.concat())?;
        return Ok(0);
    };
    let port = match asked.split_once('/') {
        Some((number, protocol)) => format!("{number}/{}", protocol.to_ascii_lowercase()),
        None => format!("{asked}/tcp"),
    };
    let places = ports.get(&port).and_then(Option::as_ref);
    let Some(places) = places.filter(|places| !places.is_empty()) else {
        return Err(CliError::Invalid(format!(
            "Error: No public port '{asked}' published for {container}"
        )));
    };
    let lines: String = places.iter().map(|p| format!("{}\n", shown(p))).collect();
    print::out(&lines)?;
    Ok(0)
}

fn shown(place: &PortBinding) -> String {
    match place.host_ip.contains(':') {
        true => format!("[{}]:{}", place.host_ip, place.host_port),
        false => format!("{}:{}", place.host_ip, place.host_port),
    }
}

/// Ports sort as numbers.
fn natural(line: &str) -> (u32, String) {
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or_default(), line.to_owned())
}
