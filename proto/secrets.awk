# Reads a decoded google.protobuf.FileDescriptorSet (protoc --decode) and
# prints a C table of the full names of all fields that carry the option
# oim.secret (50001) or csi.v1.csi_secret (1059).

/^[ ]*message_type [{]/ || /^[ ]*nested_type [{]/ { kind[++depth] = "message" }
/^[ ]*field [{]/ { kind[++depth] = "field" }
/[{]$/ && !/message_type|nested_type|^[ ]*field [{]/ { kind[++depth] = "other" }

/^  package: / { gsub(/"/, ""); package = $2 }
/^[ ]*name: / {
	gsub(/"/, "")
	if (kind[depth] == "message" || kind[depth] == "field")
		name[depth] = $2
}
/^[ ]*(50001|1059): 1$/ && kind[depth] == "other" && kind[depth - 1] == "field" {
	full = package
	for (i = 1; i < depth; i++)
		if (kind[i] != "other")
			full = full "." name[i]
	fields[++n] = full
}
/^[ ]*[}]$/ { depth-- }

BEGIN {
	print "/* Generated from the contracts by proto/secrets.awk. */"
	print "#include <stddef.h>"
	print "extern const char *const secret_fields[];"
	print "const char *const secret_fields[] = {"
}
END {
	for (i = 1; i <= n; i++)
		printf "\t\"%s\",\n", fields[i]
	print "\tNULL,"
	print "};"
}
