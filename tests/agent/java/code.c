/* Writes the size of the code of each method of the JDK's TLS, as it is in a Java virtual machine, to the file that is
 * the agent's option: a line each. Loaded into the machine by jcmd. */

#include <jvmti.h>
#include <stdio.h>
#include <string.h>

static void write_methods(jvmtiEnv *env, FILE *out, jclass type, const char *name)
{
	jint count, size;
	jmethodID *methods;
	unsigned char *code;
	char *method, *signature;
	if ((*env)->GetClassMethods(env, type, &count, &methods))
		return;
	for (int i = 0; i < count; i++) {
		if ((*env)->GetMethodName(env, methods[i], &method, &signature, 0))
			continue;
		size = 0;
		(*env)->GetBytecodes(env, methods[i], &size, &code);
		fprintf(out, "%s.%s%s %d\n", name, method, signature, size);
	}
}

JNIEXPORT jint JNICALL Agent_OnAttach(JavaVM *machine, char *path, void *reserved)
{
	jvmtiEnv *env;
	jvmtiCapabilities wanted = {.can_get_bytecodes = 1};
	jclass *types;
	jint count;
	char *name;
	FILE *out = fopen(path, "w");
	if (!out || (*machine)->GetEnv(machine, (void **)&env, JVMTI_VERSION_11) ||
	    (*env)->AddCapabilities(env, &wanted) || (*env)->GetLoadedClasses(env, &count, &types))
		return JNI_ERR;
	for (int i = 0; i < count; i++)
		if (!(*env)->GetClassSignature(env, types[i], &name, 0) && !strncmp(name, "Lsun/security/ssl/", 18))
			write_methods(env, out, types[i], name);
	(*env)->DisposeEnvironment(env);
	return fclose(out);
}
