package ui

import (
	"fmt"
	"strconv"

	"github.com/lightning-db/lightning/internal/dump"
)

// An Object is a JSON object in the order that it is printed in.
type Object []Member

// A Member's value is a string, a number, a bool, an Object, or a list of them.
type Member struct {
	_     [0]func() // not compared: arrays of each length would bring a function for it
	Name  string
	Value any
}

// AppendJSON appends v as JSON, on one line. It takes what a Member does.
func AppendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return dump.AppendJSONString(dst, []byte(v))
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'f', 6, 64)
	case []Object:
		dst = append(dst, '[')
		for i, o := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, o)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dump.AppendJSONString(dst, []byte(m.Name)), ':')
			dst = AppendJSON(dst, m.Value)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("no JSON for a %T", v))
}
