package db

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is stored as milliseconds since 1970 in UTC, which both engines sort
// alike. The zero Time is stored as 0.
type Time struct{ time.Time }

// At makes a Time, cut to the millisecond.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Millisecond)}
}

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return int64(0), nil
	}
	return t.UnixMilli(), nil
}

// Scan implements sql.Scanner.
func (t *Time) Scan(v any) error {
	switch ms := v.(type) {
	case nil:
		*t = Time{}
	case int64:
		*t = Time{}
		if ms != 0 {
			t.Time = time.UnixMilli(ms).UTC()
		}
	default:
		return fmt.Errorf("db: %T is not a time", v)
	}
	return nil
}

// NullTime is a Time whose zero is stored as NULL.
type NullTime struct{ time.Time }

// NullAt makes a NullTime, cut to the millisecond.
func NullAt(t time.Time) NullTime { return NullTime{At(t).Time} }

// Value implements driver.Valuer.
func (t NullTime) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UnixMilli(), nil
}

// Scan implements sql.Scanner.
func (t *NullTime) Scan(v any) error {
	var plain Time
	if err := plain.Scan(v); err != nil {
		return err
	}
	t.Time = plain.Time
	return nil
}
