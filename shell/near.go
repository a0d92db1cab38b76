package shell

import "strings"

// Near returns those of the names that word may stand for: it begins them, is one or
// two letters from them, which are less than half of its own, or has two neighbours
// in each other's place. What is further off would be a guess, and might be drop.
func Near(names []string, word string) (found []string) {
	word = strings.ToLower(word)
	most := min(2, (len(word)-1)/2)
	for i := 0; i < len(word) && len(found) == 0; i++ {
		typed := []byte(word)
		if i > 0 {
			typed[i-1], typed[i] = typed[i], typed[i-1]
			most = 0
		}
		for _, name := range names {
			if strings.HasPrefix(name, string(typed)) || most > 0 && distance(name, string(typed)) <= most {
				found = append(found, name)
			}
		}
	}
	return found
}

// distance is how many letters are to be added, taken out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the beginning of a, to each of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// NearSettings returns the settings that a word may stand for, with their dots.
func NearSettings(word string) []string {
	if word == "" {
		return nil
	}
	var names []string
	for _, t := range settings {
		names = append(names, "."+t.Name)
	}
	return Near(names, "."+word)
}
