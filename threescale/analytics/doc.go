// Package analytics answers what 3scale's Analytics API and the reading half of its Account Management API answer,
// from figures of one's own, so that a dashboard made for 3scale can be pointed at reporterd.
//
// Parameters, alignment, time zones, shapes and errors are those of the original (porta ecd60bd31, with
// 3scale_time_range 0.0.6). testdata/vectors.json holds answers computed by the original's code; the test compares, and
// names each difference. These are deliberate, since the original is wrong there:
//
//   - previous_total and change compare with the same number of buckets right before the range; the original reads one
//     bucket too many, and by month none at all.
//   - Days and months in which summer time begins or ends are summed as they were; the original takes the offset once.
//   - Hours and six hours in zones without whole hours are refused (400); the original answers zeros.
//   - Dates that are none, a bad granularity beside a period, and an unknown zone without since are refused with 400;
//     the original answers 500.
//   - CSV works without period.
//   - since and until may depend on the current time: 30d, now-30d/d, yesterday, {date.add(-30).format()}. The original refuses
//     these.
//
// The package also has the engine of ranges by itself: the sandbox, which stands in for the original, reads its
// parameters with it.
package analytics
