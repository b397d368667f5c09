#!/usr/bin/env bash
# keep_report.sh OBJECT COMPILER ARGUMENTS..: compiles, and keeps what ptxas reports of each kernel in
# OBJECT.resources.txt instead of printing it. Everything else that the compiler says is printed.
object=$1
shift
said=$("$@" 2>&1)
status=$?
printf '%s\n' "$said" | grep '^ptxas info' -A 1 >"$object.resources.txt"
printf '%s\n' "$said" | grep -vE '^ptxas info|bytes stack frame|^$'
exit $status
