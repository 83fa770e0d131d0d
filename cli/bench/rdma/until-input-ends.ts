/**
 * A command in a pod goes on when who started it ends. Its standard input does end, by itself or with the connection: so a
 * reader of that input ends the command. The text to run is the shell's first argument: `sh -c UNTIL_INPUT_ENDS sh TEXT`.
 */
export const UNTIL_INPUT_ENDS = `
exec 3<&0
sh -c "$1" < /dev/null 3<&- & command=$!
{ while read -r line <&3; do :; done; kill $command; } 2> /dev/null & reader=$!
wait $command; status=$?
kill $reader 2> /dev/null
exit $status`;
