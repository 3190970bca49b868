package main

import (
	"fmt"
	"html"
	"strings"
)

// svg draws one row as horizontal bars of its first metric, with the spread over the rounds as a whisker.
func (r *report) svg(row string) string {
	metric := metricsOf(r.Rows[row])[0]
	subjects := subjectsOf(r.Rows[row])
	top := 0.0
	for _, s := range subjects {
		_, _, high, _ := median(r.Rows[row][s], metric)
		top = max(top, high)
	}
	const left, wide, line = 190, 420, 34
	height := 70 + line*len(subjects)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", left+wide+130, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="12" y="24" font-size="16" font-weight="bold">%s — %s</text>`+"\n",
		html.EscapeString(row), html.EscapeString(metric))
	for i, s := range subjects {
		mid, low, high, ok := median(r.Rows[row][s], metric)
		if !ok {
			continue
		}
		y := 42 + i*line
		x := func(v float64) float64 { return left + v/top*wide }
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+16, html.EscapeString(s))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="20" fill="%s"/>`, left, y+2, mid/top*wide, colour(s))
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="black"/>`, x(low), x(high), y+12, y+12)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%.3g</text>`+"\n", x(high)+8, y+17, mid)
	}
	fmt.Fprintf(&b, `<text x="12" y="%d" font-size="10" fill="#555">commit %s · %s</text></svg>`+"\n", height-8, html.EscapeString(r.Commit), html.EscapeString(r.Machine))
	return b.String()
}

func colour(subject string) string {
	switch {
	case strings.HasPrefix(subject, "troupe"):
		return "#2a7f62"
	case strings.HasPrefix(subject, "kafka"):
		return "#b0b7bf"
	default:
		return "#dfe3e6"
	}
}
