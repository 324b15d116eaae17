module spectap.test/calls

go 1.19
