# Prints of a Go coverage profile, over every package and over all, which part of
# the statements ran. A profile of several test programs tells each block once
# for each of them. Fails when all have less than least percent.

/^mode:/ { next }

{
	statements[$1] = $2
	if ($3 > 0)
		ran[$1] = 1
}

END {
	for (block in statements) {
		package = block
		sub(/\/[^\/]*$/, "", package)
		all[package] += statements[block]
		total += statements[block]
		if (block in ran) {
			covered[package] += statements[block]
			sum += statements[block]
		}
	}
	if (total == 0) {
		print "no statements in the profile"
		exit 1
	}
	for (package in all)
		printf "%5.1f %%  %6d statements  %s\n", 100 * covered[package] / all[package], all[package], package | "sort -k 5"
	close("sort -k 5")
	printf "%5.1f %%  %6d statements in all\n", 100 * sum / total, total
	exit (100 * sum / total < least)
}
