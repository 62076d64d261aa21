//! Definitions and webhooks from the script: what kubectl prints.

use super::closures::tests::well;

const TANKS: &str = r#"
    let c = cluster(#{ nodes: 1 });
    apply(`
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: { name: tanks.example.com }
        spec:
          group: example.com
          scope: Namespaced
          names: { plural: tanks, kind: Tank, shortNames: [tk], categories: [all] }
          versions:
          - name: v1
            served: true
            storage: true
            subresources: { status: {}, scale: { specReplicasPath: .spec.depth, statusReplicasPath: .status.depth } }
            additionalPrinterColumns:
            - { name: Depth, type: integer, jsonPath: .spec.depth }
            - { name: Note, type: string, jsonPath: .spec.note, priority: 1 }
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  spec:
                    type: object
                    properties: { depth: { type: integer, minimum: 1, default: 3 }, note: { type: string } }
                  status: { type: object, properties: { depth: { type: integer } } }
    `);
    kubectl("wait --for=condition=Established crd/tanks.example.com --timeout=30s");
    fn tank(name, spec) { `{ "apiVersion": "example.com/v1", "kind": "Tank", "metadata": { "name": "${name}" }, "spec": ${spec} }` }
"#;

#[test]
fn a_custom_resource_is_like_any_other() {
    let text = well(&format!(
        r#"{TANKS}
        apply(tank("a", "{{ \"note\": \"wide\" }}"));
        kubectl("get tk");
        kubectl("get tanks -o wide");
        kubectl("scale tank/a --replicas=5");
        kubectl("get tank a -o jsonpath={{.spec.depth}}");
        kubectl("label tank a size=big");
        kubectl("get all -l size=big");
        kubectl("api-resources --api-group=example.com -o wide");
        kubectl("patch tank a -p '{{}}'");
        apply(tank("b", "{{ \"depth\": \"x\", \"hight\": 1 }}"));
        apply(tank("b", "{{ \"depth\": 0 }}"));
        kubectl("delete tank a");
        kubectl("delete crd tanks.example.com");
        kubectl("get tk");"#
    ));
    for line in [
        "tank.example.com/a created",
        "NAME   DEPTH\n",
        "NAME   DEPTH   NOTE\n",
        "a      3       wide",
        "tank.example.com/a scaled",
        "tank.example.com/a labeled",
        "tank.example.com/a   5",
        "tanks   tk           example.com/v1   true         Tank   create,delete,deletecollection,get,list,patch,update,watch   all",
        "Error from server (UnsupportedMediaType): the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        "Tank in version \"v1\" cannot be handled as a Tank: strict decoding error: unknown field \"spec.hight\"",
        "The Tank \"b\" is invalid: spec.depth: Invalid value: 0: spec.depth in body should be greater than or equal to 1",
        "tank.example.com \"a\" deleted from default namespace",
        "error: the server doesn't have a resource type \"tk\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_controller_of_ones_own_works_on_custom_resources() {
    well(&format!(
        r#"{TANKS}
        controller("tank-operator", #{{
            watch: "tanks", owns: "configmaps",
            reconcile: |key, cache, api| {{
                let tank = cache.get("tanks", key);
                if tank == () {{ return; }}
                if cache.get("configmaps", key) == () {{
                    api.create(#{{ apiVersion: "v1", kind: "ConfigMap",
                        metadata: #{{ name: key.name, namespace: key.namespace, ownerReferences: [owner_reference(tank)] }},
                        data: #{{ depth: tank.spec.depth.to_string() }} }});
                }}
                let next = tank.to_map();
                next.status = #{{ depth: tank.spec.depth }};
                api.update_status(next);
            }}
        }});
        apply(tank("a", "{{}}"));
        run_for("40s");
        expect(get("configmap", "a") != (), "the operator has made its map");
        expect(get("tank", "a").status.depth == 3, "and says so");
        kubectl("delete tank a");
        run_for("10s");
        expect(get("configmap", "a") == (), "the map goes with its owner");"#
    ));
}

#[test]
fn a_webhook_denies_in_kubectl_s_words_until_its_configuration_is_gone() {
    let text = well(
        r#"let c = cluster(#{ nodes: 1 });
        webhook("no-latest", #{
            latency: "20ms",
            admit: |request| {
                for container in request.object.spec.containers {
                    if container.image.ends_with(":latest") { return deny(`the image ${container.image} has no fixed tag`); }
                }
                allow(["looked at " + request.name])
            }
        });
        kubectl("get validatingwebhookconfigurations");
        kubectl("run a --image=nginx:latest");
        kubectl("run b --image=nginx:1.25");
        webhook_slow("no-latest", "30s");
        kubectl("run c --image=nginx:1.25");
        kubectl("delete validatingwebhookconfiguration no-latest");
        kubectl("run d --image=nginx:latest");"#,
    );
    for line in [
        "no-latest   1          0s",
        "Error from server (Forbidden): admission webhook \"no-latest.wavetank.dev\" denied the request: the image nginx:latest has no \
         fixed tag",
        "Warning: looked at b",
        "pod/b created",
        "Error from server (InternalError): Internal error occurred: failed calling webhook \"no-latest.wavetank.dev\": failed to call \
         webhook: Post \"https://no-latest.default.svc:443/admit?timeout=10s\": context deadline exceeded",
        "pod/d created",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
