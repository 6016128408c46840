from hubbub.apps.cli import main

main()
