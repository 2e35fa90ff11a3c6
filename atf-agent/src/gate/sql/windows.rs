//! R5 and R8 for windows: OVER and the WINDOW clause, down to the frame's bounds.

use sqlparser::ast::{
    NamedWindowDefinition, NamedWindowExpr, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};

use super::names;
use super::refusal::SqlRefusal;
use super::walk::{Here, Walk};

impl<'p> Walk<'p> {
    /// Judges `OVER w` and `OVER (..)`.
    pub(super) fn window(
        &mut self,
        window: &WindowType,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        match window {
            WindowType::NamedWindow(name) => {
                self.see(name);
                Ok(())
            }
            WindowType::WindowSpec(spec) => self.spec(spec, here),
        }
    }

    /// Judges one entry of a WINDOW clause.
    pub(super) fn named_window(
        &mut self,
        window: &NamedWindowDefinition,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        let NamedWindowDefinition(name, window) = window;
        names::is_plain_alias(name)?;
        self.see(name);
        match window {
            NamedWindowExpr::NamedWindow(name) => {
                self.see(name);
                Ok(())
            }
            NamedWindowExpr::WindowSpec(spec) => self.spec(spec, here),
        }
    }

    fn spec(&mut self, spec: &WindowSpec, here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        let WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
        if let Some(name) = window_name {
            self.see(name);
        }
        self.exprs(partition_by, here)?;
        for term in order_by {
            self.order_term(term, here)?;
        }
        let Some(WindowFrame { units, start_bound, end_bound }) = window_frame else {
            return Ok(());
        };
        match units {
            WindowFrameUnits::Rows | WindowFrameUnits::Range | WindowFrameUnits::Groups => {}
        }
        for bound in std::iter::once(start_bound).chain(end_bound) {
            match bound {
                WindowFrameBound::CurrentRow
                | WindowFrameBound::Preceding(None)
                | WindowFrameBound::Following(None) => {}
                WindowFrameBound::Preceding(Some(expr))
                | WindowFrameBound::Following(Some(expr)) => self.expr(expr, here)?,
            }
        }
        Ok(())
    }
}
