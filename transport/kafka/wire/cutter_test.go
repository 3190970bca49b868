package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func stream(frames ...[]byte) (out []byte) {
	for _, f := range frames {
		out = binary.BigEndian.AppendUint32(out, uint32(len(f)))
		out = append(out, f...)
	}
	return out
}

// pump feeds in to c in reads of at most chunk bytes and collects what comes out; release tells when to give a frame back.
func pump(c *Cutter, in []byte, chunk func() int, each func(Frame)) error {
	for len(in) > 0 {
		n := copy(c.Space(), in[:min(len(in), chunk())])
		c.Filled(n)
		in = in[n:]
		for {
			f, ok, err := c.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			each(f)
		}
	}
	return nil
}

func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(4000, 5000), rapid.IntRange(60<<10, 70<<10), rapid.IntRange(1<<20, 1<<20+100))
		sizes := rapid.SliceOfN(size, 1, 12).Draw(t, "sizes")
		var sent [][]byte
		for i, n := range sizes {
			sent = append(sent, bytes.Repeat([]byte{byte(i + 1)}, n))
		}
		m := NewMemory(1 << 30)
		c := NewCutter(m, 100<<20)
		chunks := rapid.OneOf(rapid.IntRange(1, 9), rapid.IntRange(1, 200<<10))
		hold := rapid.IntRange(0, 4).Draw(t, "hold")
		var held []Frame
		got := 0
		err := pump(c, stream(sent...), func() int { return max(1, chunks.Draw(t, "chunk")) * (1 + got%3*500) }, func(f Frame) {
			if !bytes.Equal(f.Data, sent[got]) {
				t.Fatalf("frame %d of %d bytes came out different", got, sizes[got])
			}
			got++
			held = append(held, f)
			if len(held) > hold {
				held[0].Buf.Release()
				held = held[1:]
			}
		})
		if err != nil || got != len(sent) {
			t.Fatalf("%d of %d frames, %v", got, len(sent), err)
		}
		for i, f := range held { // views stay intact while held
			if want := sent[len(sent)-len(held)+i]; !bytes.Equal(f.Data, want) {
				t.Fatalf("a held frame changed")
			}
			f.Buf.Release()
		}
		c.Close()
		if m.InUse() != 0 {
			t.Fatalf("%d bytes are still out", m.InUse())
		}
	})
}

func TestAnnouncedBytesCostNothing(t *testing.T) {
	m := NewMemory(1 << 30)
	c := NewCutter(m, 100<<20)
	in := binary.BigEndian.AppendUint32(nil, 100<<20)
	in = append(in, make([]byte, 200<<10)...)
	peak := int64(0)
	err := pump(c, in, func() int { return 1 << 20 }, func(Frame) { t.Fatal("no frame is whole") })
	if err != nil {
		t.Fatal(err)
	}
	c.Space()
	if peak = m.InUse(); peak > 1<<20 {
		t.Errorf("200 KiB of an announced 100 MiB hold %d bytes", peak)
	}
	c.Close()
}

func TestImpossibleSizesEndBeforeAllocation(t *testing.T) {
	for _, size := range []int32{-1, -1 << 31, 100<<20 + 1, 1<<31 - 1} {
		m := NewMemory(1 << 30)
		c := NewCutter(m, 100<<20)
		copy(c.Space(), binary.BigEndian.AppendUint32(nil, uint32(size)))
		c.Filled(4)
		_, _, err := c.Next()
		var bad *FrameSizeError
		if !errors.As(err, &bad) || bad.Size != size || !bad.First {
			t.Errorf("size %d: %v", size, err)
		}
		if m.InUse() > BufferSizeMin {
			t.Errorf("size %d: %d bytes allocated", size, m.InUse())
		}
		c.Close()
	}
}

func TestEqualLargeFramesAreNotCopied(t *testing.T) {
	const n = 1<<20 + 200
	frame := make([]byte, n)
	m := NewMemory(1 << 30)
	c := NewCutter(m, 100<<20)
	in := stream(frame, frame, frame, frame)
	first := true
	moved := 0
	err := pump(c, in, func() int { return 1 << 20 }, func(f Frame) {
		if !first && &f.Data[0] != &f.Buf.bytes[framePrefix] {
			moved++
		}
		first = false
		f.Buf.Release()
	})
	if err != nil || moved != 0 {
		t.Errorf("%d large frames do not start their buffer, %v", moved, err)
	}
	c.Close()
}

func TestSilentConnectionHoldsNoMemory(t *testing.T) {
	m := NewMemory(1 << 30)
	c := NewCutter(m, 1<<20)
	if err := pump(c, stream([]byte("abc")), func() int { return 2 }, func(f Frame) { f.Buf.Release() }); err != nil {
		t.Fatal(err)
	}
	c.Rest()
	if m.InUse() != 0 {
		t.Errorf("%d bytes are out", m.InUse())
	}
	if len(c.Space()) == 0 {
		t.Error("no space after a rest")
	}
	c.Close()
}

func TestSizeClasses(t *testing.T) {
	for size := 1; size <= bufferPooledMax; size += 4093 {
		class, capacity := classOf(size)
		if class < 0 || class >= bufferClasses || capacity < size || size > BufferSizeMin && capacity > size*3/2+1 {
			t.Fatalf("size %d: class %d of %d bytes", size, class, capacity)
		}
		if again, same := classOf(capacity); again != class || same != capacity {
			t.Fatalf("class %d is not its own: %d, %d", class, again, same)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(stream([]byte("a"), nil, []byte("bcd")), 3)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 1)
	f.Add([]byte{0x16, 3, 1, 2, 0, 1, 0, 1}, 100)
	f.Fuzz(func(t *testing.T, in []byte, chunk int) {
		m := NewMemory(1 << 30)
		c := NewCutter(m, 1<<20)
		var out []byte
		err := pump(c, in, func() int { return max(1, chunk) }, func(fr Frame) {
			out = append(out, stream(fr.Data)...)
			fr.Buf.Release()
		})
		if !bytes.HasPrefix(in, out) {
			t.Fatalf("frames %x are no prefix of %x", out, in)
		}
		if m.InUse() > int64(3*len(in)+2*bufferSizeBusy) {
			t.Fatalf("%d bytes for an input of %d, %v", m.InUse(), len(in), err)
		}
		c.Close()
		if m.InUse() != 0 {
			t.Fatalf("%d bytes are still out", m.InUse())
		}
	})
}
