import Glibc
import UploadSimulator

exit(await SimulateCommand.run())
