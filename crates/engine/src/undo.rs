//! Undo beside do: every step that leaves something behind pushes what takes it away again.

use crate::Error;

type Action<'a> = Box<dyn FnOnce() -> Result<(), Error> + Send + 'a>;

/// What would have to be undone if the next step failed. Dropping it without [`Stack::keep`] undoes
/// everything, the last step first, so that an early return cannot forget to.
#[derive(Default)]
pub(crate) struct Stack<'a> {
    actions: Vec<(&'static str, Action<'a>)>,
}

impl<'a> Stack<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Remembers how to undo the step `name`.
    pub(crate) fn push(
        &mut self,
        name: &'static str,
        action: impl FnOnce() -> Result<(), Error> + Send + 'a,
    ) {
        self.actions.push((name, Box::new(action)));
    }

    /// Everything went well: nothing is undone.
    pub(crate) fn keep(mut self) {
        self.actions.clear();
    }

    /// Undoes all steps now, the last first, whatever fails among them.
    pub(crate) fn unwind(&mut self) {
        while let Some((name, action)) = self.actions.pop() {
            if let Err(error) = action() {
                // The caller reports why it undoes; this failure would otherwise be lost.
                tracing::warn!(step = name, error = %error.chain(), "cannot undo a step");
            }
        }
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        self.unwind();
    }
}

impl std::fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.actions.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn undoes_backwards_and_past_failures() {
        let done = Mutex::new(Vec::new());
        {
            let mut undo = Stack::new();
            undo.push("one", || {
                done.lock().unwrap().push("one");
                Ok(())
            });
            undo.push("two", || Err(Error::NoContainer("two".into())));
            undo.push("three", || {
                done.lock().unwrap().push("three");
                Ok(())
            });
        }
        assert_eq!(*done.lock().unwrap(), ["three", "one"]);
    }

    #[test]
    fn what_is_kept_is_not_undone() {
        let mut undo = Stack::new();
        undo.push("one", || unreachable!());
        undo.keep();
    }
}
