// In the place of the codec of Debian's ttrpc 1.1, which knows the messages of gogo/protobuf only: as that
// of 1.2 does, it knows those that today's protoc-gen-go generates.
package ttrpc

import (
	"fmt"

	gogo "github.com/gogo/protobuf/proto"
	"google.golang.org/protobuf/proto"
)

type codec struct{}

func (c codec) Marshal(msg interface{}) ([]byte, error) {
	switch v := msg.(type) {
	case proto.Message:
		return proto.Marshal(v)
	case gogo.Message:
		return gogo.Marshal(v)
	}
	return nil, fmt.Errorf("ttrpc: cannot marshal unknown type: %T", msg)
}

func (c codec) Unmarshal(p []byte, msg interface{}) error {
	switch v := msg.(type) {
	case proto.Message:
		return proto.Unmarshal(p, v)
	case gogo.Message:
		return gogo.Unmarshal(p, v)
	}
	return fmt.Errorf("ttrpc: cannot unmarshal into unknown type: %T", msg)
}
