BEGIN TRANSACTION;
CREATE TABLE answers (
	number INTEGER NOT NULL, 
	headers TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE lines (
	app VARCHAR(130) NOT NULL, 
	level SMALLINT NOT NULL, 
	priority SMALLINT NOT NULL, 
	block INTEGER NOT NULL, 
	waiting INTEGER NOT NULL, 
	PRIMARY KEY (app, level, priority, block)
);
INSERT INTO "lines" VALUES('local/a',1,0,0,2);
INSERT INTO "lines" VALUES('local/a',2,0,0,2);
CREATE TABLE logs (
	number INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	level VARCHAR(8) NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (number, line)
);
INSERT INTO "logs" VALUES(1,0,1.0,'STDOUT','USER','hello');
CREATE TABLE payloads (
	number INTEGER NOT NULL, 
	headers TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "payloads" VALUES(1,'[]',X'7B7D');
INSERT INTO "payloads" VALUES(2,'[]',X'');
CREATE TABLE requests (
	number INTEGER NOT NULL, 
	id VARCHAR(36) NOT NULL, 
	app VARCHAR(130) NOT NULL, 
	"key" VARCHAR(255), 
	path TEXT NOT NULL, 
	method VARCHAR(16) NOT NULL, 
	priority SMALLINT NOT NULL, 
	hint TEXT, 
	state SMALLINT NOT NULL, 
	due FLOAT, 
	start_by FLOAT, 
	submitted FLOAT NOT NULL, 
	started FLOAT, 
	finished FLOAT, 
	attempt INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	worker VARCHAR(64), 
	beat INTEGER NOT NULL, 
	cancelling BOOLEAN NOT NULL, 
	retries BOOLEAN NOT NULL, 
	keep_io BOOLEAN NOT NULL, 
	kind VARCHAR(16), 
	status SMALLINT, 
	error TEXT, 
	error_type VARCHAR(64), 
	progress TEXT, 
	PRIMARY KEY (number), 
	CONSTRAINT requests_by_key UNIQUE (app, "key"), 
	UNIQUE (id)
);
INSERT INTO "requests" VALUES(1,'w','local/a',NULL,'/','POST',0,NULL,2,105.0,NULL,100.0,1.0,NULL,1,1,'w',0,0,1,1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "requests" VALUES(2,'r','local/a',NULL,'/','POST',0,NULL,1,NULL,NULL,100.0,NULL,NULL,0,0,NULL,0,0,1,1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE towpath_versions (
	name VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "towpath_versions" VALUES('queue',1);
CREATE INDEX requests_done ON requests (finished) WHERE state = 4;
CREATE INDEX requests_late ON requests (start_by) WHERE start_by IS NOT NULL;
CREATE INDEX requests_waiting ON requests (app, priority, number) WHERE state < 3;
CREATE INDEX requests_by_app ON requests (app, number);
CREATE INDEX requests_delayed ON requests (due) WHERE state = 2;
CREATE INDEX requests_running ON requests (number) WHERE state = 3;
COMMIT;
