//! Aggregates that need all values of a group at once: what they keep while rows arrive.
//!
//! Flat vectors told apart when groups end, exact and independent of the order of arrival. It
//! deliberately does not spill: `DataFusion` sees the size and lets groups go early.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::params::{self, Form};
use super::values::{counted, each_state, first, state_of, state_type};
use crate::stat::grouped::{GroupedValues, Runs};

/// What is asked of the values of each group.
pub(super) trait Question: Debug + Send + Sync + Sized + 'static {
    /// Name and parameters; the first are the values, the others constants.
    const FORM: Form;

    /// Reads the constants of a call.
    ///
    /// # Errors
    /// A plan error naming the function and the argument that is none, or not the right one.
    fn of(args: &AccumulatorArgs) -> Result<Self>;

    /// The type of an answer.
    ///
    /// # Errors
    /// A plan error for arguments of the wrong types.
    fn returns(arg_types: &[DataType]) -> Result<DataType>;

    /// One answer for each run of values, `starts` being one longer than the number of runs. Values of a run
    /// come in no promised order and may be left in another.
    ///
    /// # Errors
    /// Resources exhausted if the answers together have more than 2³¹ - 1 items.
    fn answer(&self, starts: &[usize], values: &mut [i64]) -> Result<ArrayRef>;
}

/// The constant argument of a call at a place counted from 0; `None` for an expression of columns.
pub(super) fn constant(args: &AccumulatorArgs, at: usize) -> Option<ScalarValue> {
    params::constant(args.exprs.get(at)?.as_ref())
}

/// Such an aggregate as `DataFusion` sees it.
#[derive(Debug)]
pub(super) struct Collected<Q> {
    signature: Signature,
    question: PhantomData<Q>,
}

impl<Q: Question> Collected<Q> {
    /// The aggregate as the session registers it.
    pub(super) fn udaf() -> AggregateUDF {
        AggregateUDF::from(Collected::<Q> {
            signature: Signature::user_defined(Volatility::Immutable),
            question: PhantomData,
        })
    }

    fn question(args: &AccumulatorArgs) -> Result<Q> {
        if args.is_distinct {
            return Err(Q::FORM.error("every value", "DISTINCT"));
        }
        Q::of(args)
    }
}

impl<Q: Question> PartialEq for Collected<Q> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<Q: Question> Eq for Collected<Q> {}

impl<Q: Question> Hash for Collected<Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Q::FORM.name.hash(state);
    }
}

impl<Q: Question> AggregateUDFImpl for Collected<Q> {
    fn name(&self) -> &str {
        Q::FORM.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Q::FORM.coerce(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Q::returns(arg_types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "values");
        Ok(vec![Arc::new(Field::new(name, state_type(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Row::new(Self::question(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(Self::question(&args)?)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// All values of all groups, told apart when a group ends.
#[derive(Debug)]
pub(super) struct Groups<Q> {
    question: Q,
    store: GroupedValues,
}

impl<Q: Question> Groups<Q> {
    /// No groups yet.
    pub(super) fn new(question: Q) -> Self {
        Self {
            question,
            store: GroupedValues::default(),
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> Runs {
        match emit_to {
            EmitTo::All => self.store.take_all(),
            EmitTo::First(n) => self.store.take_first(n),
        }
    }
}

impl<Q: Question> GroupsAccumulator for Groups<Q> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.store.grow(total_num_groups);
        let values = first(values)?;
        let rows = group_indices.iter().zip(values.values().iter());
        match counted(values, opt_filter) {
            None => rows.for_each(|(group, value)| self.store.push(*group, *value)),
            Some(counted) => {
                let counted_rows = rows.zip(counted.iter()).filter(|(_, counts)| *counts);
                counted_rows.for_each(|((group, value), _)| self.store.push(*group, *value));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut runs = self.take(emit_to);
        self.question.answer(&runs.starts, &mut runs.values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let runs = self.take(emit_to);
        Ok(vec![Arc::new(state_of(&runs.starts, runs.values)?)])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.store.grow(total_num_groups);
        each_state(values, |row, run| {
            if let Some(group) = group_indices.get(row) {
                run.iter().for_each(|value| self.store.push(*group, *value));
            }
        })
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = first(values)?;
        let counted = counted(values, opt_filter);
        let (mut starts, mut kept) = (vec![0], Vec::with_capacity(values.len()));
        for (i, value) in values.values().iter().enumerate() {
            if counted.as_ref().is_none_or(|counted| counted.is_valid(i)) {
                kept.push(*value);
            }
            starts.push(kept.len());
        }
        Ok(vec![Arc::new(state_of(&starts, kept)?)])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.store.size()
    }
}

/// The values of one group, for queries without GROUP BY and for windows.
#[derive(Debug)]
pub(super) struct Row<Q> {
    question: Q,
    values: Vec<i64>,
}

impl<Q: Question> Row<Q> {
    /// No values yet.
    pub(super) fn new(question: Q) -> Self {
        Self {
            question,
            values: Vec::new(),
        }
    }
}

impl<Q: Question> Accumulator for Row<Q> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(first(values)?.iter().flatten());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // reorders the values but keeps them: a growing window asks again
        let answer = self.question.answer(&[0, self.values.len()], &mut self.values)?;
        ScalarValue::try_from_array(&answer, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.capacity() * size_of::<i64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = std::mem::take(&mut self.values);
        Ok(vec![ScalarValue::List(Arc::new(state_of(&[0, values.len()], values)?))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        each_state(states, |_, run| self.values.extend_from_slice(run))
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::list_of_doubles;
    use super::super::percentile::Question as Levelled;
    use super::*;
    use crate::stat::percentile::Levels;
    use datafusion::arrow::array::{Array, Int64Array};
    use datafusion::common::cast::{as_float64_array, as_list_array};

    fn groups(levels: &[f64], list: bool) -> Groups<Levelled> {
        let levels = Levels::new(levels.to_vec()).unwrap();
        Groups {
            question: Levelled { levels, list },
            store: GroupedValues::default(),
        }
    }

    fn column(values: Vec<Option<i64>>) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from(values)) as ArrayRef]
    }

    fn numbers(array: &ArrayRef) -> Vec<Option<f64>> {
        as_float64_array(array).unwrap().iter().collect()
    }

    #[test]
    fn nulls_and_filtered_rows_do_not_count_and_an_empty_group_is_null() {
        let mut groups = groups(&[0.5], false);
        let values = column(vec![Some(1), Some(9), None, Some(3), Some(100), Some(7)]);
        let filter = BooleanArray::from(vec![Some(true), Some(true), Some(true), Some(true), Some(false), None]);
        groups
            .update_batch(&values, &[0, 1, 0, 0, 1, 2], Some(&filter), 3)
            .unwrap();
        assert_eq!(
            numbers(&groups.evaluate(EmitTo::All).unwrap()),
            vec![Some(2.0), Some(9.0), None]
        );
    }

    #[test]
    fn the_list_form_answers_in_the_order_asked_and_is_null_for_an_empty_group() {
        let mut groups = groups(&[1.0, 0.5], true);
        groups
            .update_batch(&column(vec![Some(4), Some(2), Some(8)]), &[1, 1, 1], None, 2)
            .unwrap();
        let answer = groups.evaluate(EmitTo::All).unwrap();
        assert_eq!(answer.data_type(), &list_of_doubles());
        let answer = as_list_array(&answer).unwrap();
        assert!(answer.is_null(0));
        assert_eq!(numbers(&answer.value(1)), vec![Some(8.0), Some(4.0)]);
    }

    #[test]
    fn first_groups_leave_and_the_others_move_up() {
        let mut groups = groups(&[0.0], false);
        groups
            .update_batch(&column(vec![Some(1), Some(2), Some(3)]), &[0, 1, 2], None, 3)
            .unwrap();
        assert_eq!(
            numbers(&groups.evaluate(EmitTo::First(2)).unwrap()),
            vec![Some(1.0), Some(2.0)]
        );
        groups
            .update_batch(&column(vec![Some(-3), Some(4)]), &[0, 1], None, 2)
            .unwrap();
        assert_eq!(
            numbers(&groups.evaluate(EmitTo::All).unwrap()),
            vec![Some(-3.0), Some(4.0)]
        );
    }

    #[test]
    fn states_of_parts_merge_to_the_answer_of_the_whole() {
        let values = column(vec![Some(5), None, Some(1), Some(9)]);
        let filter = BooleanArray::from(vec![true, true, true, false]);
        let mut part = groups(&[0.5], false);
        part.update_batch(&values, &[0, 0, 1, 1], Some(&filter), 2).unwrap();
        let mut whole = groups(&[0.5], false);
        whole
            .merge_batch(&part.state(EmitTo::All).unwrap(), &[0, 1], 2)
            .unwrap();
        // rows that skip the partial step arrive as states of one value or none
        let rows = part.convert_to_state(&values, Some(&filter)).unwrap();
        whole.merge_batch(&rows, &[0, 0, 1, 2], 3).unwrap();
        assert_eq!(
            numbers(&whole.evaluate(EmitTo::All).unwrap()),
            vec![Some(5.0), Some(1.0), None]
        );
    }

    #[test]
    fn the_row_form_keeps_its_values_after_an_answer_and_merges_states() {
        let row = || Row {
            question: groups(&[0.5], false).question,
            values: Vec::new(),
        };
        let (mut left, mut right) = (row(), row());
        assert_eq!(left.evaluate().unwrap(), ScalarValue::Float64(None));
        left.update_batch(&column(vec![Some(1), None, Some(3)])).unwrap();
        assert_eq!(left.evaluate().unwrap(), ScalarValue::Float64(Some(2.0)));
        right.update_batch(&column(vec![Some(8)])).unwrap();
        let state: Vec<ArrayRef> = right
            .state()
            .unwrap()
            .iter()
            .map(|value| value.to_array().unwrap())
            .collect();
        left.merge_batch(&state).unwrap();
        assert_eq!(left.evaluate().unwrap(), ScalarValue::Float64(Some(3.0)));
    }
}
