//! `top` without a container: what all containers use, drawn as it changes. Pure: what is known goes in, a
//! screen comes out.

use std::collections::VecDeque;

use super::units;

/// So many looks are drawn.
pub const LOOKS: usize = 12;

/// A container as it is drawn.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `running`, `exited`, ...
    pub state: String,
    /// `Up 2 hours`
    pub status: String,
    /// Percent of one processor, the last look at the end.
    pub cpu: VecDeque<f64>,
    /// Share of the limit, from 0 to 1.
    pub memory: VecDeque<f64>,
    /// Bytes.
    pub used: u64,
    /// Bytes a second, both ways.
    pub network: VecDeque<f64>,
    /// Bytes received and sent so far.
    pub traffic: (u64, u64),
    /// Processes.
    pub processes: u64,
}

impl Line {
    /// Adds a look, and forgets the oldest one.
    pub fn add(list: &mut VecDeque<f64>, value: f64) {
        if list.len() == LOOKS {
            list.pop_front();
        }
        list.push_back(value);
    }
}

/// What is below the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pane {
    /// Nothing.
    #[default]
    None,
    /// The last lines of a log.
    Log(String, Vec<String>),
}

/// All that is drawn.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// The containers.
    pub lines: Vec<Line>,
    /// Which of them is chosen.
    pub chosen: usize,
    /// What is below them.
    pub pane: Pane,
    /// What happened last.
    pub notice: String,
}

const KEYS: &str = "q quit  up/down choose  l log  s start/stop  r restart  p pause  k kill";
const INVERSE: &str = "\x1b[7m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

impl Screen {
    /// The screen as lines of at most `columns`, at most `rows` of them.
    pub fn draw(&self, rows: usize, columns: usize) -> Vec<String> {
        let running = self.lines.iter().filter(|line| line.state == "running");
        let all = self.lines.iter().filter_map(|line| line.cpu.back());
        let cpu = all.fold(0.0, |sum, cpu| sum + cpu);
        let used: u64 = self.lines.iter().map(|line| line.used).sum();
        let count = self.lines.len();
        let noun = if count == 1 {
            "container"
        } else {
            "containers"
        };
        let head = format!(
            "{count} {noun}, {} running   CPU {cpu:.1}%   memory {}",
            running.count(),
            size(used)
        );
        let mut all = vec![
            format!("{BOLD}{}{PLAIN}", fit(&head, columns)),
            fit(
                &format!(
                    "{:16} {:>LOOKS$} {:>6}  {:>LOOKS$} {:>9}  {:>LOOKS$} {:>10}  {:>4}  STATUS",
                    "NAME", "CPU", "%", "MEMORY", "", "NETWORK", "B/S", "PIDS"
                ),
                columns,
            ),
        ];
        let room = rows.saturating_sub(4);
        let (list, pane) = match &self.pane {
            Pane::None => (room, None),
            Pane::Log(name, lines) => (room / 2, Some((name, lines))),
        };
        let first = (self.chosen + 1).saturating_sub(list.max(1));
        for (index, line) in self.lines.iter().enumerate().skip(first).take(list) {
            let text = fit(&row(line), columns);
            all.push(match index == self.chosen {
                true => format!("{INVERSE}{text:columns$}{PLAIN}"),
                false => text,
            });
        }
        if let Some((name, lines)) = pane {
            all.push(format!(
                "{BOLD}{}{PLAIN}",
                fit(&format!("log of {name}"), columns)
            ));
            let left = rows.saturating_sub(all.len() + 2);
            let skipped = lines.len().saturating_sub(left);
            all.extend(lines.iter().skip(skipped).map(|line| fit(line, columns)));
        }
        all.resize(rows.saturating_sub(2), String::new());
        all.push(fit(&self.notice, columns));
        all.push(fit(KEYS, columns));
        all
    }
}

fn size(bytes: u64) -> String {
    units::binary_size(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn row(line: &Line) -> String {
    let rate = line.network.back().copied().unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bytes a second, shown with three digits"
    )]
    let rate = units::size(rate as i64);
    let most = line.network.iter().copied().fold(1.0, f64::max);
    format!(
        "{:16} {:>LOOKS$} {:>6.1}  {:>LOOKS$} {:>9}  {:>LOOKS$} {:>10}  {:>4}  {}",
        fit(&line.name, 16),
        graph(&line.cpu, line.cpu.iter().copied().fold(100.0, f64::max)),
        line.cpu.back().copied().unwrap_or_default(),
        graph(&line.memory, 1.0),
        size(line.used),
        graph(&line.network, most),
        rate,
        line.processes,
        line.status
    )
}

/// Values as bars of one character each; `most` is a full one.
fn graph(values: &VecDeque<f64>, most: f64) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |value: &f64| {
        let share = (value / most).clamp(0.0, 1.0);
        // Little is not nothing.
        let least = if *value > 0.0 { 1.0 } else { 0.0 };
        let step = (share * 8.0).round().max(least);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 8"
        )]
        let index = step as usize;
        BARS[index.min(8)]
    };
    values.iter().map(bar).collect()
}

/// Cut to a width; what would move the cursor is left out.
fn fit(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c == '\t' { ' ' } else { c });
    clean.filter(|c| !c.is_control()).take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen() {
        let mut web = Line {
            name: "web".to_owned(),
            state: "running".to_owned(),
            status: "Up 2 minutes".to_owned(),
            used: 3 << 20,
            processes: 4,
            ..Line::default()
        };
        for value in [0.0, 25.0, 50.0, 100.0] {
            Line::add(&mut web.cpu, value);
            Line::add(&mut web.memory, value / 200.0);
            Line::add(&mut web.network, value * 10.0);
        }
        let gone = Line {
            name: "gone".to_owned(),
            state: "exited".to_owned(),
            status: "Exited (0)".to_owned(),
            ..Line::default()
        };
        let screen = Screen {
            lines: vec![web, gone],
            pane: Pane::Log("web".to_owned(), vec!["one".to_owned(), "two".to_owned()]),
            ..Screen::default()
        };
        let text: Vec<String> = screen
            .draw(12, 110)
            .iter()
            .map(|line| format!("{}|", line.replace('\x1b', "^").trim_end()))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }
}
