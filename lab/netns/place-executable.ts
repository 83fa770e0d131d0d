// Installs argv[2] as argv[3].
import { placeExecutable } from "../../daemonset/install/place.ts";

placeExecutable(process.argv[2]!, process.argv[3]!);
