FuseProbe.run()
