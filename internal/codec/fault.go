package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// fault is every error of this package: where in the value, what is wrong and
// what to do. The path is put together on the way up, so that a value without
// faults pays nothing for it.
type fault struct {
	path  string // ".Owner.Tags[3]"; empty: the value itself
	text  string
	kind  error // a sentinel of storage, for errors.Is; not part of the text
	cause error // an error of somebody else's code, or nil
}

// faultf makes a fault that errors.Is the sentinel kind.
func faultf(kind error, format string, args ...any) *fault {
	return &fault{text: fmt.Sprintf(format, args...), kind: kind}
}

// foreign makes a fault of an error that came from outside of this package.
func foreign(text string, err error) *fault {
	return &fault{text: text, cause: err}
}

// at puts a step in front of the path of err.
func at(err error, step string) error {
	f, ok := err.(*fault)
	if !ok {
		f = &fault{cause: err}
	}
	f.path = step + f.path
	return f
}

func atField(err error, name string) error { return at(err, "."+name) }

func atIndex(err error, i int) error { return at(err, "["+strconv.Itoa(i)+"]") }

func (f *fault) Error() string {
	var b strings.Builder
	b.WriteString("codec: ")
	if f.path != "" {
		b.WriteString("field ")
		b.WriteString(strings.TrimPrefix(f.path, "."))
		b.WriteString(": ")
	}
	b.WriteString(f.text)
	if f.cause != nil {
		if f.text != "" {
			b.WriteString(": ")
		}
		b.WriteString(strings.TrimPrefix(f.cause.Error(), "codec: "))
	}
	return b.String()
}

// Unwrap gives the sentinel and the cause, for errors.Is and errors.As.
func (f *fault) Unwrap() []error {
	var errs []error
	if f.kind != nil {
		errs = append(errs, f.kind)
	}
	if f.cause != nil {
		errs = append(errs, f.cause)
	}
	return errs
}

// refusal is a fault of a type, found by Compile.
func refusal(path, format string, args ...any) error {
	return errors.New("codec: " + path + ": " + fmt.Sprintf(format, args...))
}

// keyStep is a map key as a step of a path. It calls no methods of the key.
func keyStep(k reflect.Value) string {
	switch k.Kind() {
	case reflect.String:
		return "[" + strconv.Quote(k.String()) + "]"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "[" + strconv.FormatInt(k.Int(), 10) + "]"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "[" + strconv.FormatUint(k.Uint(), 10) + "]"
	}
	return "[" + k.Type().String() + "]"
}
